"""A record of any length: three years of what people do, chained as the database chains it.

Written by COPY past triggers and indexes, which are put back afterwards: through the front door five million events would
take hours. What is hashed is spelt here as Postgres spells jsonb; `controlplane.audit.verify` says whether that is so.
"""

import datetime as dt
import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, text

_DAYS = 3 * 365
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PEOPLE = [f"{first} {last}" for first in ("Ada", "Grace", "Alan", "Edsger", "Barbara") for last in
           ("Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov", "Knuth", "Hamilton", "Ritchie")]  # fmt: skip
_INTERACTIONS = [
    f"{subject}_{verb}"
    for subject in ("COACHING", "KPI", "GOAL", "ONBOARDING", "SALES", "SUPPORT", "REVIEW", "INSIGHT")
    for verb in ("RESPONSE", "ANALYSIS", "SUMMARY", "SUGGESTION")
]
_TIERS = ("default", "free", "basic", "premium", "enterprise")
_MODELS = ("CLAUDE_3_5_SONNET", "CLAUDE_3_HAIKU", "GPT_5", "GPT_5_MINI", "GEMINI_2_PRO")
_REASONS = (
    None, None, "Cheaper for the summer", "Better follow-up questions", "Latency went up after the last change",
    "Asked for by the coaching team", "Guard rail of the pilot customers", "Quarterly review of prices",
)  # fmt: skip
_FIELDS = [
    "sequence",
    "id",
    "at",
    "actor_kind",
    "actor_id",
    "actor_name",
    "actor_role",
    "via",
    "action",
    "object_kind",
    "object_key",
    "environment",
    "sentence",
    "reason",
    "before",
    "after",
    "release",
    "emergency",
    "request_id",
    "address",
    "user_agent",
    "previous_hash",
    "hash",
]


def fill(engine: Engine, events: int, *, seed: int = 7) -> None:
    """Write so many events into an empty record, the newest of them now."""
    with engine.begin() as connection, _unburdened(connection):
        _make_months(connection)
        head = _copy(connection, events, random.Random(seed))
        connection.execute(
            text("UPDATE audit_head SET sequence = :events, hash = :hash"), {"events": events, "hash": head}
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET default_statistics_target = 10"))  # each sampled event is taken apart
        connection.execute(text("VACUUM ANALYZE audit_events"))


@contextmanager
def _unburdened(connection: Connection) -> Iterator[None]:
    """Take triggers, keys and indexes off the record, and put back what was there."""
    keys = connection.execute(
        text(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid = 'audit_events'::regclass AND contype IN ('p', 'u')"
        )
    ).all()
    indexes = connection.execute(
        text(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
            " WHERE indrelid = 'audit_events'::regclass"
            " AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)"
        )
    ).all()
    for name, _ in keys:
        connection.execute(text(f"ALTER TABLE audit_events DROP CONSTRAINT {name}"))
    for name, _ in indexes:
        connection.execute(text(f"DROP INDEX {name}"))
    connection.execute(text("ALTER TABLE audit_events DISABLE TRIGGER USER"))
    connection.execute(text("ALTER TABLE audit_head DISABLE TRIGGER USER"))
    yield
    connection.execute(text("SET LOCAL maintenance_work_mem = '512MB'"))
    connection.execute(text("ALTER TABLE audit_events ENABLE TRIGGER USER"))
    connection.execute(text("ALTER TABLE audit_head ENABLE TRIGGER USER"))
    for name, definition in keys:
        connection.execute(text(f"ALTER TABLE audit_events ADD CONSTRAINT {name} {definition}"))
    for _, definition in indexes:
        connection.exec_driver_sql(definition.replace(" ON ONLY ", " ON "))


def _make_months(connection: Connection) -> None:
    today = dt.datetime.now(dt.UTC).date()
    month = (today - dt.timedelta(days=_DAYS)).replace(day=1)
    while month <= today:
        connection.execute(text("SELECT audit_events_add_month(:month)"), {"month": month})
        month = (month + dt.timedelta(days=32)).replace(day=1)


def _copy(connection: Connection, events: int, chance: random.Random) -> str:
    """Write the events and return the last one's hash."""
    shapes = [_shape(chance) for _ in range(4_000)]
    templates = [(_hashed(shape), _copied(shape), bool(shape["release"])) for shape in shapes]
    step = dt.timedelta(days=_DAYS) / max(1, events)
    begin = dt.datetime.now(dt.UTC) - step * events
    previous, release = "", 0
    cursor = connection.connection.cursor()
    with cursor.copy(f"COPY audit_events ({', '.join(_FIELDS)}) FROM STDIN") as copy:
        for sequence in range(1, events + 1):
            at = begin + step * (sequence - 1 + chance.random())
            at = at.replace(
                microsecond=at.microsecond // 10 * 10 + 1
            )  # a nought at the end would be left out
            hashed, copied, published = chance.choice(templates)
            release += published
            values: dict[str, Any] = {
                "sequence": sequence,
                "id": _identifier(at, sequence),
                "at": at.isoformat(),
                "number": sequence,
                "release": release,
                "request_id": f"req-{sequence:012x}",
                "previous_hash": previous,
            }
            values["hash"] = previous = hashlib.sha256((hashed % values).encode()).hexdigest()
            copy.write(copied % values)
    return previous


def _shape(chance: random.Random) -> dict[str, Any]:
    """Make up what one kind of event says; `%(…)s` is what differs from one to the next."""
    person = chance.choices(_PEOPLE, [1 / (place + 1) for place in range(len(_PEOPLE))])[0]
    interaction = chance.choices(_INTERACTIONS, [1 / (place + 1) for place in range(len(_INTERACTIONS))])[0]
    tier, model, older = chance.choice(_TIERS), chance.choice(_MODELS), chance.choice(_MODELS)
    environment: str | None = chance.choices(("production", "staging", "trial"), (5, 4, 1))[0]
    place = f"{interaction}/{tier}"
    key = f"configuration/{place}/*"
    title = f"{interaction} · {tier}"
    share = chance.randrange(1, 100)
    made = {"release": "%(release)s"}
    kind = chance.choices(("saved", "published", "raised", "template", "signed_in", "reverted", "model"),
                          (24, 22, 16, 14, 18, 1, 5))[0]  # fmt: skip
    shapes: dict[str, dict[str, Any]] = {
        "saved": {"action": "configuration.version_saved", "object_kind": "configuration", "object_key": place,
                  "sentence": f"saved version %(number)s of {title}: model from {older} to {model}",
                  "environment": None, "before": {"model": older, "temperature": 1}, "after": {"model": model, "temperature": 0}},
        "published": {"action": "release.published", "object_kind": "release", "object_key": f"{environment}/%(release)s",
                      "sentence": f"published release %(release)s of {environment}: {title} from {older} to {model}",
                      "before": {key: {"model": older}}, "after": {key: {"model": model}}, **made},
        "raised": {"action": "rollout.raised", "object_kind": "rollout", "object_key": str(chance.randrange(1, 900)),
                   "sentence": f"raised version %(number)s of {title} from {share} %% to {share + 1} %%",
                   "before": {key: {"share": share}}, "after": {key: {"share": share + 1}}, **made},
        "template": {"action": "prompt.version_saved", "object_kind": "prompt", "object_key": interaction.lower(),
                     "sentence": f"saved version %(number)s of template {interaction.lower()}: {share} lines added",
                     "environment": None, "before": {"version": share}, "after": {"version": share + 1}},
        "signed_in": {"action": "person.signed_in", "object_kind": "person", "object_key": _address(person),
                      "sentence": "signed in", "environment": None},
        "reverted": {"action": "release.reverted", "object_kind": "release", "object_key": f"{environment}/%(release)s",
                     "sentence": f"took back release %(release)s of {environment}: {title} is {older} again",
                     "before": {key: {"model": model}}, "after": {key: {"model": older}},
                     "emergency": environment == "production", **made},
        "model": {"action": "model.changed", "object_kind": "model", "object_key": model,
                  "sentence": f"changed the price of {model} to {share} cents", "environment": None,
                  "before": {"price": share + 1}, "after": {"price": share}},
    }  # fmt: skip
    reason = chance.choice(_REASONS) if kind != "signed_in" else None
    return {
        "actor_kind": "person",
        "actor_id": hashlib.sha256(person.encode()).hexdigest()[:32],
        "actor_name": person,
        "actor_role": chance.choice(("editor", "publisher", "on-call", "admin")),
        "via": chance.choices(("browser", "schedule", "command line"), (90, 8, 2))[0],
        "environment": environment,
        "reason": reason and f"{reason}, see OPS-{chance.randrange(1, 999)}",
        "before": None,
        "after": None,
        "release": None,
        "emergency": False,
        "address": f"192.0.2.{chance.randrange(1, 255)}",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36",
        **shapes[kind],
    }


def _hashed(shape: Mapping[str, Any]) -> str:
    """Return what the hash of such an event is taken over, to be filled in."""
    whole = {
        **shape,
        **{name: f"%({name})s" for name in ("sequence", "id", "at", "request_id", "previous_hash")},
    }
    if not whole["emergency"]:
        del whole["emergency"]
    spelt = _spelt(whole)
    # Numbers, which the templates hold as words.
    for name in ("sequence", *(["release"] if shape["release"] else [])):
        spelt = spelt.replace(f'"{name}": "%({name})s"', f'"{name}": %({name})s')
    return spelt


def _copied(shape: Mapping[str, Any]) -> str:
    """Return such an event as a line for COPY, to be filled in."""
    cells = []
    for name in _FIELDS:
        value: Any = shape.get(name, f"%({name})s")
        if isinstance(value, dict):
            value = _spelt(value)
        cells.append("\\N" if value is None else {True: "t", False: "f"}.get(value, value))
    return "\t".join(cells) + "\n"


def _spelt(value: Any) -> str:
    """Spell a value as jsonb is spelt: the keys by length, then by bytes, and a space behind each sign."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        return "{" + ", ".join(f"{_spelt(key)}: {_spelt(value[key])}" for key in keys) + "}"
    return json.dumps(value, ensure_ascii=False)


def _identifier(at: dt.datetime, sequence: int) -> str:
    moment = int(at.timestamp() * 1000)
    return "".join(_ALPHABET[(moment >> shift) & 31] for shift in range(45, -5, -5)) + f"{sequence:016d}"


def _address(person: str) -> str:
    return f"{person.lower().replace(' ', '.')}@example.com"

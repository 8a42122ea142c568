"""Whether what guards the record in the database is what was installed: triggers that are on, functions that are ours."""

import hashlib
from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

# SHA-256 of each function's body as the newest migration leaves it; a test holds them to it.
BODIES = {
    "audit_event_append": "e7191691867690c7a1a1fe66c09738ecf915edf32044656d5cafb46df049b07b",
    "audit_event_hash": "82606e607566879f9d305782f7b64d428f7b5c9a3394cc5df86ee7ddfb0b90a5",
    "audit_events_add_month": "939a29aab2ee1c531cde979290566a721a9406182a5eaf1da618275753ecb679",
    "audit_events_add_months": "ad600872061bcac5a4f900530d8d46daa656e47948d14b1b3862f0d865e8b331",
    "refuse_change": "53fd25430a2dbf2fa37f5939d9c622ca1aeeff3c070f98ecad6ee06752ac109a",
}
_ROW = ("audit_events_append", "audit_events_refuse_change")
_STATEMENT = "audit_events_refuse_truncate"
_HEAD = ("audit_head_refuse_change", "audit_head_refuse_truncate")

_BODIES = """
    SELECT proname AS name, prosrc AS body FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace AND proname = ANY(:names)
"""
_TRIGGERS = """
    SELECT class.relname AS place, trigger.tgname AS name
    FROM pg_trigger AS trigger JOIN pg_class AS class ON class.oid = trigger.tgrelid
    WHERE class.relnamespace = 'public'::regnamespace AND trigger.tgenabled IN ('O', 'A')
"""
_PLACES = "SELECT relid::regclass::text FROM pg_partition_tree('audit_events') ORDER BY 1"


def findings(session: Session) -> list[str]:
    """What is not as it was installed, in words."""
    return [*_functions(session), *_triggers(session)]


def bodies(session: Session) -> dict[str, str]:
    """The SHA-256 of each function's body, as it is in the database."""
    found = session.execute(text(_BODIES), {"names": list(BODIES)})
    return {row.name: hashlib.sha256(row.body.encode()).hexdigest() for row in found}


def _functions(session: Session) -> Sequence[str]:
    there = bodies(session)
    return [
        f"the function {name} is not the one that was installed"
        if name in there
        else f"the function {name} is gone"
        for name, sha256 in BODIES.items()
        if there.get(name) != sha256
    ]


def _triggers(session: Session) -> Sequence[str]:
    on = {(row.place, row.name) for row in session.execute(text(_TRIGGERS))}
    places = session.scalars(text(_PLACES)).all()
    wanted = [(place, name) for place in places for name in (*_ROW, _STATEMENT)]
    wanted += [("audit_head", name) for name in _HEAD]
    return [
        f"the trigger {name} on {place} is off or gone" for place, name in wanted if (place, name) not in on
    ]

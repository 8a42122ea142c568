"""Finding changes among five million, as the pages find them, and taking a million of them along.

The record is written by COPY (`record.py`), three years of it, and chained as the database chains it. Each figure is of the
whole question: SQL, counts, and the fifty events of the page.

Floor: the fifty newest events by the index on time, the least that a list can ask for; for a change that is recorded, the
same insert without the index that finds it, and with it, but of a kind that nobody has to look at.

Limits: a page of any filter 300 ms for 95 of 100, of free text 500 ms, one change with its neighbours 50 ms; an export no
more than 200 MB of memory; 2 ms for each change that is recorded.
"""

import resource
import time
from collections.abc import Callable, Sequence

from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from bench.effort import Effort
from bench.figures import Figure, Limit
from bench.record import fill
from bench.timing import ItemT, percentile
from controlplane.accounts.actor import Actor
from controlplane.audit import export, finding, queries
from controlplane.audit.conditions import Wanted
from controlplane.audit.language import parse
from controlplane.audit.models import AuditEvent
from controlplane.audit.services import record
from controlplane.db import make_engine
from controlplane.local.postgres import temporary
from controlplane.web.cli import migrate

_ACTOR = Actor.system("bench", via="command line")

# Common ones, rare ones, ones that nothing matches though each term is common, and those that only take away.
FILTERS = (
    "", "env:production", 'actor:"Ada Lovelace"', "action:release.published", "kind:configuration", "tier:premium",
    "object:COACHING_RESPONSE", "object:configuration/KPI_ANALYSIS/premium", "via:schedule", "is:revert",
    "is:emergency env:production", "release:1234", "after:-2h", "env:production after:quarter", "before:year",
    "-env:production -via:browser", "-kind:configuration", "actor:b*", "kind:model kind:prompt -via:browser",
    'env:production actor:"Barbara Ritchie" is:revert tier:free', "via:schedule kind:model tier:premium",
    'actor:"Ada Lovelace" -action:release.published env:staging',
)  # fmt: skip
WORDS = (
    "coaching", "summer", "OPS-123", "gpt_5_mini", "nowheretobefound", '"follow-up questions"', "coach*", "hopper 25",
    "raised premium claude", "summer -coaching", "latency env:production", "took back",
)  # fmt: skip


def run(effort: Effort) -> list[Figure]:
    """Measure."""
    with temporary() as url:
        migrate(url)
        engine = make_engine(url)
        try:
            began = time.perf_counter()
            fill(engine, effort.events)
            loading = time.perf_counter() - began
            return [
                *_pages(engine, effort),
                _permalink(engine, effort),
                *_export(engine, effort),
                _recording(engine, effort),
                _opening(engine, effort),
                Figure(f"writing {effort.events:,} events and their indexes", loading, "s", loading, 1.0),
            ]
        finally:
            engine.dispose()


def _pages(engine: Engine, effort: Effort) -> list[Figure]:
    floor = _timed(engine, _bare, range(effort.loads * 10))
    figures = []
    for what, texts, limit in (("any filter", FILTERS, 300), ("free text", WORDS, 500)):
        taken = _timed(engine, _find, texts * effort.loads)
        figures += [
            _against(
                f"a page of {what}, {percent} of 100",
                percentile(taken, percent),
                floor,
                limit if percent > 50 else None,
            )
            for percent in (50, 95)
        ]
    return figures


def _permalink(engine: Engine, effort: Effort) -> Figure:
    with Session(engine) as session:
        step = max(1, effort.events // 50)
        numbers = range(1, effort.events, step)
        identifiers = session.scalars(select(AuditEvent.id).where(AuditEvent.sequence.in_(numbers))).all()
    taken = _timed(engine, _one, identifiers)
    floor = _timed(engine, _bare, range(effort.loads * 10))
    return _against("one change and its neighbours, 95 of 100", percentile(taken, 95), floor, 50)


def _export(engine: Engine, effort: Effort) -> list[Figure]:
    with Session(engine) as session:
        last = finding.last_number(session)

    def take(count: int) -> tuple[float, float, int]:
        """Return what so many of the newest cost: seconds, more memory at most, and bytes."""
        with Session(engine) as session:
            place = select(AuditEvent.at).where(AuditEvent.sequence == max(1, last - count + 1))
            begin = session.scalars(place).one()
        wanted = Wanted(parse(f"after:{begin:%Y-%m-%dT%H:%M:%S.%f}").query, upto=last)
        memory, began = _peak_mb(), time.perf_counter()
        size = sum(len(piece) for piece in export.stream(lambda: Session(engine), wanted, "csv", url_of=str))
        return time.perf_counter() - began, _peak_mb() - memory, size

    tenth = take(effort.exported // 10)
    whole = take(effort.exported)
    more = max(0.1, tenth[1])
    return [
        Figure(
            f"exporting {effort.exported:,} changes, {whole[2] >> 20} MB (floor: ten times a tenth)",
            whole[0],
            "s",
            tenth[0] * 10,
            whole[0] / tenth[0] / 10,
        ),
        Figure(
            "memory that all of it took (floor: a tenth of them)",
            more + whole[1],
            "MB",
            more,
            1 + whole[1] / more,
            Limit(200, of="here"),
        ),
    ]


def _recording(engine: Engine, effort: Effort) -> Figure:
    """Compare an insert with the index against one without it, each rolled back; in turns, or the second is warmer."""
    burdened: list[float] = []
    bare: list[float] = []
    with engine.connect() as connection:
        for turn in range(effort.loads * 2):
            transaction = connection.begin()
            if turn % 2:
                connection.execute(text("DROP INDEX ix_audit_events_terms"))
            with Session(connection, join_transaction_mode="create_savepoint") as session:
                _record(session)  # the first one finds nothing prepared
                began = time.perf_counter()
                for _ in range(50):
                    _record(session)
                (bare if turn % 2 else burdened).append((time.perf_counter() - began) * 1000 / 50)
            transaction.rollback()
    here, floor = percentile(burdened, 50), percentile(bare, 50)
    return Figure("a change recorded (limit: 2 ms more than without the index)", here, "ms", floor, here / floor,
                  Limit(floor + 2, of="here"))  # fmt: skip


def _opening(engine: Engine, effort: Effort) -> Figure:
    """Compare a change whose review is opened with it against one of a kind that has none, in turns."""
    taken: dict[str, list[float]] = {"release.published": [], "changes.exported": []}
    with Session(engine) as session:
        for action in taken:
            _record(session, action)  # as above
        for _ in range(effort.loads * 50):
            for action, times in taken.items():
                began = time.perf_counter()
                _record(session, action)
                times.append((time.perf_counter() - began) * 1000)
        session.rollback()
    here, floor = (percentile(times, 50) for times in taken.values())
    return Figure("a change recorded with its review (limit: 2 ms more than without)", here, "ms", floor, here / floor,
                  Limit(floor + 2, of="here"))  # fmt: skip


def _record(session: Session, action: str = "configuration.version_saved") -> None:
    record(
        session,
        actor=_ACTOR,
        action=action,
        object_kind="configuration",
        object_key="COACHING_RESPONSE/premium",
        sentence="saved version 7 of COACHING_RESPONSE · premium: model from CLAUDE_3_HAIKU to CLAUDE_3_5_SONNET",
        reason="Better follow-up questions, see OPS-123",
        before={"model": "CLAUDE_3_HAIKU"},
        after={"model": "CLAUDE_3_5_SONNET"},
    )


def _bare(session: Session, _: object) -> None:
    session.scalars(
        select(AuditEvent).order_by(AuditEvent.at.desc(), AuditEvent.sequence.desc()).limit(finding.PAGE)
    ).all()


def _find(session: Session, asked: str) -> None:
    finding.find(session, Wanted(parse(asked).query))


def _one(session: Session, identifier: str) -> None:
    queries.neighbours(session, queries.get_event(session, identifier))


def _timed(engine: Engine, work: Callable[[Session, ItemT], None], items: Sequence[ItemT]) -> list[float]:
    taken = []
    for item in items:
        with Session(engine) as session:
            began = time.perf_counter()
            work(session, item)
            taken.append((time.perf_counter() - began) * 1000)
    return taken


def _against(name: str, here: float, floors: Sequence[float], limit: float | None) -> Figure:
    floor = percentile(floors, 50)
    return Figure(name, here, "ms", floor, here / floor, Limit(limit, of="here") if limit else None)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

"""The record lies in months: what was written before is moved, what finds no month is not lost, all of it stays one chain."""

import datetime as dt
from collections.abc import Iterator

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from controlplane.audit.models import AuditEvent
from controlplane.audit.verify import verify
from controlplane.db import make_engine
from controlplane.web.cli import ROOT
from tests.audit.events import told
from tests.conftest import Databases

_COLUMNS = "id, at, actor_kind, actor_id, actor_name, actor_role, via, action, object_kind, object_key, sentence, proposal"
_BEFORE = ("2025-12-31 23:59:59.999+00", "2026-01-01 00:00+00", "2026-03-08 12:00+00", "2026-01-31 22:00-03")


@pytest.fixture(scope="module")
def earlier(databases: Databases) -> Iterator[Engine]:
    """A database of the schema before, with events of three months in it."""
    engine = make_engine(databases.create("of_before"))
    moved(engine, "0011")
    with engine.begin() as connection:
        for number, at in enumerate(_BEFORE):
            connection.execute(
                text(
                    f"INSERT INTO audit_events ({_COLUMNS}) VALUES (:id, :at, 'person', '1', 'Ada', 'admin', 'browser',"
                    " 'model.changed', 'model', 'GPT_5', 'changed its price', nullif(:number, 0))"
                ),
                {"id": f"EVENT{number}", "at": at, "number": number},
            )
    yield engine
    engine.dispose()
    databases.drop("of_before")


def moved(engine: Engine, revision: str) -> None:
    config = Config(toml_file=ROOT / "pyproject.toml")
    config.set_main_option("script_location", str(ROOT / "migrations"))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        current = connection.scalar(text("SELECT to_regclass('alembic_version')"))
        known = connection.scalar(text("SELECT version_num FROM alembic_version")) if current else None
        connection.rollback()
        (command.downgrade if known and known > revision else command.upgrade)(config, revision)
        connection.commit()


def chain(engine: Engine) -> list[tuple[int, str, str]]:
    query = "SELECT sequence, previous_hash, hash FROM audit_events ORDER BY sequence"
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_events_of_before_move_into_their_months_with_their_hashes_and_back(earlier: Engine) -> None:
    before = chain(earlier)
    moved(earlier, "head")  # as far as the code that writes events below needs it
    assert chain(earlier) == before
    with Session(earlier) as session:
        assert verify(session).intact
        assert months(session) == {
            "audit_events_2025_12": [1], "audit_events_2026_01": [2], "audit_events_2026_02": [4], "audit_events_2026_03": [3],
        }  # fmt: skip
        # Of a kind whose review nobody opens: there are no reviews yet.
        told(session, action="changes.exported")
        session.commit()
        assert verify(session).intact
    moved(earlier, "0011")
    assert chain(earlier)[: len(before)] == before
    with earlier.begin() as connection:
        said = "SELECT bool_and(hash = audit_event_hash(event)) FROM audit_events AS event"
        assert connection.scalar(text(said))


def test_what_finds_no_month_is_kept_and_moves_into_its_month_when_that_is_made(session: Session) -> None:
    far = dt.datetime(2031, 5, 31, 23, 59, tzinfo=dt.UTC)
    event = told(session)
    columns = f"{_COLUMNS}, previous_hash, hash"
    session.execute(
        text(
            f"INSERT INTO audit_events ({columns}) SELECT 'FAR', :at, {columns.partition('at, ')[2]} FROM audit_events"
        ),
        {"at": far},
    )
    assert months(session)["audit_events_default"] == [2]
    assert session.scalar(text("SELECT audit_events_add_months()")) == 1
    assert months(session)["audit_events_2031_05"] == [2]
    assert "audit_events_default" not in months(session)
    assert session.scalar(text("SELECT audit_events_add_months()")) == 0
    assert told(session).sequence == 3
    assert session.get_one(AuditEvent, 2).object_key == event.object_key
    assert verify(session).intact


def test_the_months_ahead_are_there_before_they_begin(session: Session) -> None:
    ahead = session.scalars(
        text(
            "SELECT 'audit_events_' || to_char(now() AT TIME ZONE 'UTC' + make_interval(months => n), 'YYYY_MM')"
            " FROM generate_series(0, 2) AS n"
        )
    )
    assert set(ahead) <= tables(session)


@pytest.mark.parametrize("which", ["audit_events_default", "the month of now"])
def test_a_month_cannot_be_emptied_by_its_own_name(session: Session, which: str) -> None:
    told(session)
    name = which if " " not in which else next(iter(months(session)))
    with pytest.raises(Exception, match="append-only"):
        session.execute(text(f"TRUNCATE {name}"))


def test_the_head_of_the_chain_is_written_by_an_event_and_by_nothing_else(session: Session) -> None:
    told(session)
    for statement in ("UPDATE audit_head SET sequence = 0", "DELETE FROM audit_head", "TRUNCATE audit_head"):
        with pytest.raises(Exception, match="append-only"), session.begin_nested():
            session.execute(text(statement))
    assert told(session).sequence == 2


def months(session: Session) -> dict[str, list[int]]:
    query = "SELECT tableoid::regclass::text AS month, sequence FROM audit_events ORDER BY sequence"
    found: dict[str, list[int]] = {}
    for month, sequence in session.execute(text(query)):
        found.setdefault(month, []).append(sequence)
    return found


def tables(session: Session) -> set[str]:
    return set(
        session.scalars(
            text(
                "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_events'::regclass"
            )
        )
    )

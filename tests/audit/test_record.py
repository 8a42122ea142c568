from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit import pages
from controlplane.audit.models import AuditEvent
from controlplane.audit.verify import verify
from tests.audit.events import told

WRITERS = 8
EACH = 5


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET sentence = 'nothing happened'",
        "UPDATE audit_events SET reason = NULL WHERE sequence = 1",
        "DELETE FROM audit_events",
        "DELETE FROM audit_events WHERE sequence = 1",
        "TRUNCATE audit_events",
        "TRUNCATE audit_events CASCADE",
    ],
)
def test_the_database_refuses_to_alter_or_remove_what_was_recorded(session: Session, statement: str) -> None:
    told(session)
    with pytest.raises(IntegrityError, match="append-only"):
        session.execute(text(statement))


def test_events_are_numbered_from_one_and_each_names_the_one_before(session: Session) -> None:
    events = [told(session, f"change {number}") for number in range(1, 4)]
    assert [event.sequence for event in events] == [1, 2, 3]
    assert events[0].previous_hash == ""
    assert [event.previous_hash for event in events[1:]] == [event.hash for event in events[:-1]]
    assert len({event.hash for event in events}) == 3


def test_a_writer_cannot_choose_the_number_or_the_hash(session: Session) -> None:
    first = told(session)
    columns = (
        "id, at, actor_kind, actor_id, actor_name, actor_role, via, action, object_kind, object_key, sentence"
    )
    session.execute(
        text(
            f"INSERT INTO audit_events (sequence, previous_hash, hash, {columns})"
            f" SELECT 900, 'forged', 'forged', 'X' || {columns} FROM audit_events"
        )
    )
    forged = session.scalars(select(AuditEvent).where(AuditEvent.id != first.id)).one()
    assert (forged.sequence, forged.previous_hash) == (2, first.hash)
    assert len(forged.hash) == 64
    assert verify(session).intact


def test_what_is_rolled_back_leaves_no_gap(session: Session) -> None:
    told(session)
    with session.begin_nested() as attempt:
        told(session, "never happened")
        attempt.rollback()
    assert told(session).sequence == 2
    assert verify(session).intact


def test_many_writers_at_once_make_one_chain_without_gaps(engine: Engine) -> None:
    with Session(engine) as session:
        start = verify(session).events
    barrier = Barrier(WRITERS)

    def write(writer: int) -> None:
        barrier.wait()
        for number in range(EACH):
            with Session(engine) as session, session.begin():
                told(session, f"change {number} of writer {writer}")

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    with Session(engine) as session:
        numbers = session.scalars(select(AuditEvent.sequence).order_by(AuditEvent.sequence)).all()
        report = verify(session)
    assert numbers == list(range(1, start + WRITERS * EACH + 1))
    assert report.intact
    assert report.events == len(numbers)


@pytest.mark.parametrize(
    "forged",
    [
        "Ada\n2026-01-01 Grace published release 9",
        "Ada\r\nX: y",
        "Ada\x1b[2Jgone",
        "Ada\u2028line",
        "Ada\u2029paragraph",
        "Ada\u202edesrever",
        "Ada\u2066isolated",
        "Ada\ttab",
        "Ada\x00nul",
        "Ada\x7fdelete",
        "Ada\x9bcontrol",
        "Ada\u200fmark",
    ],
)
def test_control_characters_cannot_forge_a_line(session: Session, forged: str) -> None:
    actor = Actor(
        kind="token", id=forged, name=forged, role=Role.VIEWER, via="api", user_agent=forged,
        owner_name=forged, request_id=forged, address=forged,
    )  # fmt: skip
    event = told(session, f"renamed it to {forged}", actor=actor, reason=forged, object_key=forged)
    session.expire(event)
    for stored in (
        event.actor_id, event.actor_name, event.sentence, event.reason, event.user_agent, event.owner_name,
        event.request_id, event.address, event.object_key,
    ):  # fmt: skip
        assert stored is not None
        assert "Ada " in stored
        assert stored.replace("Ada", "").isprintable()


def test_an_event_says_who_it_was_at_that_time_and_how_they_came(session: Session) -> None:
    actor = Actor(
        kind="person",
        id="7",
        name="Ada",
        role=Role.PUBLISHER,
        via="browser",
        request_id="01REQUEST",
        address="192.0.2.7",
        user_agent="Browser/1",
    )
    event = told(session, actor=actor)
    session.expire(event)
    assert (event.actor_id, event.actor_name, event.actor_role, event.via) == (
        "7", "Ada", "publisher", "browser",
    )  # fmt: skip
    assert (event.request_id, event.address, event.user_agent) == ("01REQUEST", "192.0.2.7", "Browser/1")


def test_a_fresh_id_sorts_after_those_of_earlier_moments(session: Session) -> None:
    first = told(session).id
    assert len(first) == 26
    assert first.isalnum()
    assert first.upper() == first


def test_what_was_recorded_as_it_came_is_spelt_out_where_it_is_shown() -> None:
    (field,) = pages.field_changes({"note": "a\u202eb"}, {"note": "a\x1b[2Jb"})
    assert (field.before, field.after) == ("a\\u202eb", "a\\u001b[2Jb")
    assert "\u202e" not in (pages.as_json({"note": "\u202e"}) or "")

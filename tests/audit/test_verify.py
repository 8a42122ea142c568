"""Tampering as an owner of the database could do it: with the triggers switched off."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from controlplane.audit.verify import verify
from tests.audit.events import told


@pytest.fixture
def chain(session: Session) -> Session:
    for number in range(1, 6):
        told(
            session,
            f"change {number}",
            before={"price": number},
            after={"price": number + 1},
            reason="as planned",
        )
    return session


@contextmanager
def triggers_off(session: Session) -> Iterator[None]:
    session.execute(text("ALTER TABLE audit_events DISABLE TRIGGER USER"))
    yield
    session.execute(text("ALTER TABLE audit_events ENABLE TRIGGER USER"))


def tamper(session: Session, *statements: str) -> None:
    with triggers_off(session):
        for statement in statements:
            session.execute(text(statement))


def test_an_untouched_chain_is_whole(chain: Session) -> None:
    report = verify(chain)
    assert report.intact
    assert report.events == 5
    assert report.sentence == (
        f"The record is whole: 5 events, each following from the one before, ending in {report.last_hash[:12]}."
    )


def test_an_empty_record_is_whole(session: Session) -> None:
    assert verify(session).sentence == "The record is whole: 0 events, each following from the one before."


@pytest.mark.parametrize(
    "column_and_value",
    [
        "sentence = 'nothing happened'",
        "reason = NULL",
        "actor_name = 'Somebody else'",
        "actor_id = 'someone'",
        "at = at - interval '1 microsecond'",
        "after = '{\"price\": 99}'",
        "before = NULL",
        "environment = 'staging'",
        "release = 7",
        "address = '192.0.2.1'",
        "id = 'another'",
    ],
)
def test_an_edited_event_is_found_whichever_column_was_edited(chain: Session, column_and_value: str) -> None:
    tamper(chain, f"UPDATE audit_events SET {column_and_value} WHERE sequence = 3")
    report = verify(chain)
    assert not report.intact
    assert [(each.sequence, each.reason) for each in report.breaks] == [
        (3, "its content is not what was written")
    ]


def test_an_edited_event_whose_hash_was_made_to_fit_is_found_at_the_next(chain: Session) -> None:
    tamper(
        chain,
        "UPDATE audit_events SET sentence = 'nothing happened' WHERE sequence = 3",
        "UPDATE audit_events AS event SET hash = audit_event_hash(event) WHERE sequence = 3",
    )
    assert [(each.sequence, each.reason) for each in verify(chain).breaks] == [
        (4, "it does not follow from the event before it")
    ]


def test_a_removed_event_is_found(chain: Session) -> None:
    tamper(chain, "DELETE FROM audit_events WHERE sequence = 3")
    assert [(each.sequence, each.reason) for each in verify(chain).breaks] == [
        (4, "an event before it is missing")
    ]


def test_a_removed_beginning_is_found(chain: Session) -> None:
    tamper(chain, "DELETE FROM audit_events WHERE sequence < 3")
    assert [each.sequence for each in verify(chain).breaks] == [3]


def test_reordered_events_are_found(chain: Session) -> None:
    tamper(
        chain,
        "UPDATE audit_events SET sequence = -1 WHERE sequence = 2",
        "UPDATE audit_events SET sequence = 2 WHERE sequence = 3",
        "UPDATE audit_events SET sequence = 3 WHERE sequence = -1",
    )
    assert {2, 3} <= {each.sequence for each in verify(chain).breaks}


def test_an_event_slipped_in_between_is_found(chain: Session) -> None:
    tamper(
        chain,
        "UPDATE audit_events SET sequence = sequence + 100 WHERE sequence > 3",
        "INSERT INTO audit_events SELECT (event).* FROM (SELECT jsonb_populate_record(a, jsonb_build_object("
        "'sequence', 4, 'id', 'slipped-in', 'previous_hash', a.hash)) AS event FROM audit_events a WHERE sequence = 3) b",
        "UPDATE audit_events SET sequence = sequence - 99 WHERE sequence > 100",
    )
    assert not verify(chain).intact


def test_what_was_found_is_said_in_words(chain: Session) -> None:
    tamper(
        chain,
        "DELETE FROM audit_events WHERE sequence = 2",
        "UPDATE audit_events SET via = 'x' WHERE sequence = 4",
    )
    assert verify(chain).sentence == (
        "The record was tampered with or damaged: event 3: an event before it is missing;"
        " event 4: its content is not what was written."
    )


def test_the_finding_does_not_depend_on_the_time_zone_of_whoever_asks(chain: Session) -> None:
    chain.execute(text("SET LOCAL timezone = 'Asia/Kathmandu'"))
    assert verify(chain).intact


def test_the_command_line_says_whether_the_record_is_whole_and_by_its_exit_code(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    whole = ask_command_line(database_url, store=tmp_path)
    assert whole.returncode == 0
    assert whole.stdout.startswith("The record is whole: ")
    with Session(engine) as session, session.begin():
        tamper(session, "UPDATE audit_events SET sentence = 'nothing happened' WHERE sequence = 1")
    broken = ask_command_line(database_url, store=tmp_path)
    assert broken.returncode == 1
    assert "event 1: its content is not what was written" in broken.stdout


def ask_command_line(database_url: str, *, store: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "controlplane.web.cli", "audit", "verify"],
        env={**os.environ, "DATABASE_URL": database_url, "CONTROLPLANE_STORE_DIRECTORY": str(store)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

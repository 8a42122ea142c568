"""The ways of tampering that an auditor would try, by somebody who owns the database or the bucket: each is found and named.

What an application's role may try is refused outright; see `test_roles`.
"""

import datetime as dt
import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.audit import anchors, archive, checks, services
from controlplane.audit import verify as verifying
from controlplane.audit.chain import Walked, walk
from controlplane.audit.models import AuditAnchor, AuditArchive
from controlplane.audit.verify import Report, verify, verify_all
from controlplane.runtime.signing import Signer, Verifier
from controlplane.runtime.stores.memory import MemoryStore
from tests.audit.database import Place, place
from tests.audit.events import told
from tests.conftest import Databases

SIGNER = Signer("ours", b"\x07" * 32)
VERIFIER = Verifier.from_environment({"CONTROLPLANE_PUBLIC_KEYS": SIGNER.public})
OPERATOR = Actor.system("operator", via="command line")
OLD = (
    "2025-01-10",
    "2025-01-31",
    "2025-02-01",
    "2025-01-31",
    "2025-02-14",
)  # around midnight two months take turns


class Bucket(MemoryStore):
    """A store into which somebody with the bucket's keys writes what they like."""

    def overwrite(self, name: str, data: bytes | None) -> None:
        if data is None:
            del self._evidence[name]
        else:
            self._evidence[name] = data


@dataclass(frozen=True)
class Kept:
    place: Place
    store: Bucket

    def look(self, session: Session) -> Report:
        return verify_all(session, self.store, verifier=VERIFIER)


@pytest.fixture(scope="module")
def kept(databases: Databases, blank_template: str) -> Iterator[Kept]:
    """A record of three months, the first of them archived: events 1, 2 and 4. Release 7 is event 8; the last is 13."""
    with place(databases, blank_template) as here, pytest.MonkeyPatch.context() as patch:
        store = Bucket()
        with Session(here.owner) as session, session.begin():
            for day in OLD:
                patch.setattr(
                    services, "now", lambda day=day: dt.datetime.fromisoformat(f"{day}T12:00:00+00:00")
                )
                told(session, f"change of {day}")
            patch.undo()
            session.execute(text("SELECT audit_events_add_months()"))
        here.tell(2)
        here.tell(1, environment="production", release=7)
        here.tell(3)
        assert anchors.anchor_releases(here.application, store, "production", SIGNER) == 1
        moved = archive.archive(here.owner, store, before=dt.date(2025, 2, 1), signer=SIGNER, actor=OPERATOR)
        assert [month.words for month in moved] == ["2025-01: 3 events"]
        assert anchors.anchor_day(here.application, store, SIGNER)
        here.tell(1)
        yield Kept(here, store)


def test_a_record_that_nobody_touched_is_whole_in_the_database_outside_and_in_the_archive(kept: Kept) -> None:
    with Session(kept.place.application) as session:
        report = kept.look(session)
        assert session.query(AuditArchive.runs).scalar() == [
            {"first": 1, "last": 2, "previous_hash": "", "hash": report_hash(session, 3)},
            {"first": 4, "last": 4, "previous_hash": own_hash(session, 3), "hash": report_hash(session, 5)},
        ]
    assert report.intact, report.sentence
    assert report.events == 13
    assert "It holds every event that was anchored outside (2 anchors)." in report.sentence
    assert "3 of them lie in the archive" in report.sentence


NUMBERED = "UPDATE audit_events SET sequence = {to} WHERE sequence = {of}"
HEAD_FITS = "UPDATE audit_head SET (sequence, hash) = (SELECT sequence, hash FROM audit_events ORDER BY sequence DESC LIMIT 1)"
SLIPPED_IN = """
    INSERT INTO audit_events SELECT (jsonb_populate_record(event, '{"sequence": 7, "id": "FORGED"}')).*
    FROM audit_events AS event WHERE sequence = 6
"""
# Whoever edits an event and then gives every later one the hash that follows from it: the chain itself is whole again.
REWRITTEN = """
    DO $$
    DECLARE
        event audit_events;
        last text := (SELECT hash FROM audit_events WHERE sequence = 5);
    BEGIN
        FOR event IN SELECT * FROM audit_events WHERE sequence > 5 ORDER BY sequence LOOP
            event.previous_hash := last;
            last := audit_event_hash(event);
            UPDATE audit_events SET previous_hash = event.previous_hash, hash = last WHERE sequence = event.sequence;
        END LOOP;
    END $$
"""
TAMPERINGS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "update": (
        ["UPDATE audit_events SET sentence = 'nothing happened' WHERE sequence = 7"],
        ["event 7: its content is not what was written"],
    ),
    "update of a column that came later": (
        ["UPDATE audit_events SET approvals = 2 WHERE sequence = 7"],
        ["event 7: its content is not what was written"],
    ),
    "delete": (["DELETE FROM audit_events WHERE sequence = 7"], ["event 8: an event before it is missing"]),
    "truncate": (
        ["TRUNCATE audit_events"],
        ["the record ends with event 2, but event 13 was written: its end was cut off"],
    ),
    "drop": (["DROP TABLE audit_events_2025_02"], ["event 6: an event before it is missing"]),
    "disabled trigger": (
        ["ALTER TABLE audit_events DISABLE TRIGGER audit_events_refuse_change"],
        ["the trigger audit_events_refuse_change on audit_events is off or gone"],
    ),
    "dropped trigger": (
        ["DROP TRIGGER audit_events_append ON audit_events"],
        ["the trigger audit_events_append on audit_events is off or gone"],
    ),
    "forged insert": (
        [
            *(NUMBERED.format(of=number, to=number + 1) for number in range(13, 6, -1)),
            SLIPPED_IN,
        ],
        ["event 7: its content is not what was written"],
    ),
    "reorder": (
        [NUMBERED.format(of=6, to=-1), NUMBERED.format(of=7, to=6), NUMBERED.format(of=-1, to=7)],
        ["event 6: its content is not what was written", "event 7: its content is not what was written"],
    ),
    "cut middle": (
        ["DELETE FROM audit_events WHERE sequence BETWEEN 6 AND 9"],
        ["event 10: an event before it is missing"],
    ),
    "cut tail": (
        ["DELETE FROM audit_events WHERE sequence > 10"],
        ["the record ends with event 10, but event 13 was written: its end was cut off"],
    ),
    "cut tail, and the head made to fit": (
        ["DELETE FROM audit_events WHERE sequence > 10", HEAD_FITS],
        [
            "and the record ends with event 10: its end was cut off, or an older copy of the database was put in its place"
        ],
    ),
    "replaced function": (
        [
            "CREATE OR REPLACE FUNCTION audit_event_hash(event audit_events) RETURNS text LANGUAGE sql AS 'SELECT event.hash'",
            "UPDATE audit_events SET sentence = 'nothing happened' WHERE sequence = 7",
        ],
        [
            "event 7: its content is not what was written",
            "the function audit_event_hash is not the one that was installed",
        ],
    ),
    "restored backup": (
        [
            "DELETE FROM audit_events WHERE sequence > 7",
            HEAD_FITS,
            "TRUNCATE audit_anchors",
            "TRUNCATE audit_checks",
        ],
        [
            "and the record ends with event 7: its end was cut off, or an older copy of the database was put in its place"
        ],
    ),
    "rewritten from one event on": (
        [
            "UPDATE audit_events SET sentence = 'nothing happened' WHERE sequence = 6",
            REWRITTEN,
            HEAD_FITS,
            "TRUNCATE audit_anchors",
        ],
        ["event 8 is not the one that was anchored with release 7 of production"],
    ),
    "an archived month that is said to hold something else": (
        ["UPDATE audit_archives SET runs = jsonb_set(runs, '{0,hash}', '\"x\"')"],
        [
            "event 3: it does not follow from the event before it",
            "archive 2025-01: its card in the store is gone",
        ],
    ),
    "an archived month that nobody knows of": (
        ["DELETE FROM audit_archives"],
        ["event 3: an event before it is missing"],
    ),
}


@pytest.mark.parametrize("way", TAMPERINGS)
def test_tampering_by_an_owner_of_the_database_is_found_and_named(kept: Kept, way: str) -> None:
    statements, named = TAMPERINGS[way]
    with kept.place.tampered(*statements) as session:
        report = kept.look(session)
    assert not report.intact
    assert [words for words in named if not any(words in each for each in report.named)] == [], report.named


def edited_line(data: bytes) -> bytes:
    lines = gzip.decompress(data).decode().splitlines(keepends=True)
    event = json.loads(lines[1])
    return gzip.compress("".join([lines[0], json.dumps(event | {"sentence": "x"}) + "\n", lines[2]]).encode())


def with_words(data: bytes) -> bytes:
    return json.dumps(json.loads(data) | {"events": 2}).encode()


def moved_on(data: bytes) -> bytes:
    return json.dumps(json.loads(data) | {"hash": "f" * 64}).encode()


def unsigned(data: bytes) -> bytes:
    return json.dumps(
        {key: value for key, value in json.loads(data).items() if key not in {"key_id", "signature"}}
    ).encode()


ARCHIVED, CARD = "archive/2025-01.1.ndjson.gz", "archive/2025-01.1.json"
ANCHOR = "releases/production/000000000007.json"
IN_THE_BUCKET: dict[str, tuple[str, Callable[[bytes], bytes | None], str]] = {
    "edited archive": (
        ARCHIVED,
        edited_line,
        "the file is not the one that was written: its checksum differs",
    ),
    "removed archive": (ARCHIVED, lambda _: None, "archive 2025-01: it is gone from the store"),
    "edited card": (
        CARD,
        with_words,
        "its card in the store is gone, or says something else than the database",
    ),
    "edited anchor": (ANCHOR, moved_on, f"the anchor {ANCHOR} is not what the key 'ours' signed"),
    "anchor without its signature": (
        ANCHOR,
        unsigned,
        f"the anchor {ANCHOR} in the store is not the one that was left there",
    ),
    "removed anchor": (ANCHOR, lambda _: None, f"the anchor {ANCHOR} is gone from the store"),
    "unreadable anchor": (ANCHOR, lambda _: b"[]", f"the anchor {ANCHOR} is not readable"),
}


@pytest.mark.parametrize("way", IN_THE_BUCKET)
def test_tampering_in_the_store_is_found_and_named(kept: Kept, way: str) -> None:
    name, change, named = IN_THE_BUCKET[way]
    there = kept.store.read_evidence(name, limit=10**6)
    assert there is not None
    kept.store.overwrite(name, change(there))
    try:
        with Session(kept.place.application) as session:
            report = kept.look(session)
    finally:
        kept.store.overwrite(name, there)
    assert [each for each in report.named if named in each], report.named


def test_an_edited_archive_whose_checksum_was_made_to_fit_is_found_by_what_is_in_it(kept: Kept) -> None:
    there = kept.store.read_evidence(ARCHIVED, limit=10**6)
    assert there is not None
    edited = edited_line(there)
    kept.store.overwrite(ARCHIVED, edited)
    sha256 = "encode(sha256(:data), 'hex')"
    try:
        with kept.place.tampered() as session:
            session.execute(text(f"UPDATE audit_archives SET sha256 = {sha256}"), {"data": edited})
            report = kept.look(session)
    finally:
        kept.store.overwrite(ARCHIVED, there)
    assert "archive 2025-01: event 2: its content is not what was written" in report.named


def test_the_database_alone_says_what_it_can(kept: Kept) -> None:
    statements, _ = TAMPERINGS["cut tail, and the head made to fit"]
    with kept.place.tampered(*statements) as session:
        assert verify(session).intact


def test_every_minute_finds_a_restored_backup_and_goes_on_finding_it(kept: Kept) -> None:
    statements, _ = TAMPERINGS["restored backup"]
    with kept.place.tampered(*statements) as session:
        checks.keep(session, verify(session))
        session.execute(text("UPDATE audit_checks SET checked_at = checked_at - interval '2 minutes'"))
        for _ in range(2):
            report = checks.check(session, kept.store, verifier=VERIFIER)
            assert report is not None
            assert "an older copy of the database was put in its place" in report.sentence
            session.execute(text("UPDATE audit_checks SET checked_at = checked_at - interval '2 minutes'"))
        badge = checks.badge(session)
    assert badge.tone == "failed"
    assert "an older copy" in badge.findings[0]


def test_the_badge_says_when_it_was_checked_and_where_it_is_anchored(kept: Kept) -> None:
    with kept.place.tampered("DELETE FROM audit_checks") as session:
        assert checks.badge(session).words == "Not checked yet"
        assert checks.check(session, kept.store, verifier=VERIFIER) is not None
        assert checks.check(session, kept.store, verifier=VERIFIER) is None, "nothing is due"
        badge = checks.badge(session)
        assert (badge.tone, badge.words, badge.findings) == ("live", "Whole", ())
        assert badge.anchor is not None
        assert (badge.anchor.environment, badge.anchor.release) == ("production", 7)
        session.execute(text("UPDATE audit_checks SET checked_at = checked_at - interval '1 hour'"))
        assert checks.badge(session).words == "Whole when it was last checked"
        session.execute(text("SET LOCAL session_replication_role = origin"))
        told(session)
        newest = checks.check(session, kept.store, verifier=VERIFIER)
        assert newest is not None
        assert newest.events == 1, "only what is new"


def test_anchors_are_left_once_and_another_database_s_are_not_overwritten(kept: Kept) -> None:
    here = kept.place.application
    assert anchors.anchor_releases(here, kept.store, "production", SIGNER) == 0
    assert not anchors.anchor_day(here, kept.store, SIGNER)
    there = kept.store.read_evidence(ANCHOR, limit=10**6)
    with Session(kept.place.owner) as session, session.begin():
        session.query(AuditAnchor).filter_by(release=7).delete()
    assert anchors.anchor_releases(here, kept.store, "production", SIGNER) == 1, "as after a kill in between"
    assert kept.store.read_evidence(ANCHOR, limit=10**6) == there
    with Session(kept.place.owner) as session, session.begin():
        session.query(AuditAnchor).filter_by(release=7).delete()
    assert there is not None
    kept.store.overwrite(ANCHOR, moved_on(there))
    with pytest.raises(anchors.AnchorTakenError, match="names another event than number 8 of this database"):
        anchors.anchor_releases(here, kept.store, "production", SIGNER)
    kept.store.overwrite(ANCHOR, there)
    anchors.anchor_releases(here, kept.store, "production", SIGNER)


def test_an_anchor_of_a_key_of_before_is_compared_all_the_same(kept: Kept) -> None:
    other = Verifier.from_environment({"CONTROLPLANE_PUBLIC_KEYS": Signer("new", b"\x08" * 32).public})
    with Session(kept.place.application) as session:
        report = verify_all(session, kept.store, verifier=other)
    assert report.intact
    assert "2 without a signature of a key that is known here" in report.sentence


def own_hash(session: Session, sequence: int) -> Any:
    return session.execute(
        text("SELECT hash FROM audit_events WHERE sequence = :n"), {"n": sequence}
    ).scalar_one()


def report_hash(session: Session, following: int) -> Any:
    query = text("SELECT previous_hash FROM audit_events WHERE sequence = :n")
    return session.execute(query, {"n": following}).scalar_one()


def test_what_is_written_and_anchored_during_a_check_is_no_finding(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check of millions of events takes a while, and the site goes on."""

    def and_then_somebody_publishes(session: Session, **more: Any) -> Walked:
        walked = walk(session, **more)
        kept.place.tell(1, environment="production", release=8)
        anchors.anchor_releases(kept.place.application, kept.store, "production", SIGNER)
        return walked

    monkeypatch.setattr(verifying, "walk", and_then_somebody_publishes)
    with Session(kept.place.application) as session:
        report = kept.look(session)
    assert report.intact, report.sentence
    assert "3 anchors" in report.sentence

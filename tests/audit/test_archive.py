"""Moving months to the store by the command line, and what is refused there."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from controlplane.accounts.access_list import access_on, last_known
from controlplane.audit import archive, services
from controlplane.audit.models import AuditArchive, AuditEvent
from controlplane.audit.verify import verify
from controlplane.errors import NotFound
from controlplane.reviews import services as reviewing
from controlplane.reviews.states import State
from controlplane.runtime.stores.file import FileStore
from controlplane.web.cli import cli
from tests.audit.database import Place, place
from tests.audit.events import GRACE, told
from tests.audit.test_tampering import OPERATOR
from tests.conftest import Databases

PAST = ("2024-11-05", "2024-12-24", "2024-12-31", "2025-01-02")


@pytest.fixture
def here(databases: Databases, blank_template: str) -> Iterator[Place]:
    with place(databases, blank_template) as made, pytest.MonkeyPatch.context() as patch:
        with Session(made.owner) as session, session.begin():
            for day in PAST:
                patch.setattr(services, "now", lambda day=day: dt.datetime.fromisoformat(f"{day}T12:00:00Z"))
                told(session, f"change of {day}")
            patch.undo()
            session.execute(text("SELECT audit_events_add_months()"))
        made.tell(1)
        yield made


def run(here: Place, store: Path, *arguments: str) -> Result:
    address = {
        name: engine.url.render_as_string(hide_password=False)
        for name, engine in (("DATABASE_URL", here.application), ("DATABASE_OWNER_URL", here.owner))
    }
    return CliRunner().invoke(
        cli, ["audit", *arguments], env={**address, "CONTROLPLANE_STORE_DIRECTORY": str(store)}
    )


def test_months_are_moved_by_their_owner_and_the_record_stays_whole(here: Place, tmp_path: Path) -> None:
    tried = run(here, tmp_path, "archive", "--before", "2025-01", "--dry-run")
    assert tried.output.splitlines() == ["2024-11: 1 event", "2024-12: 2 events", "would be moved: 2 months"]
    assert list(tmp_path.iterdir()) == []
    moved = run(here, tmp_path, "archive", "--before", "2025-01")
    assert moved.exit_code == 0, moved.output
    assert moved.output.splitlines()[-1] == "moved: 2 months"
    with Session(here.application) as session:
        assert session.scalars(select(AuditEvent.sequence).order_by(AuditEvent.sequence)).all() == [
            4,
            5,
            6,
            7,
        ]
        newest = session.get_one(AuditEvent, 7)
        assert (newest.action, newest.sentence) == (
            "record.archived",
            "archived December 2024 of this record: 2 events now in archive/2024-12.1.ndjson.gz",
        )
        assert verify(session).intact
    checked = run(here, tmp_path, "verify")
    assert checked.exit_code == 0, checked.output
    assert "whole: 7 events" in checked.output, "those in the archive are among them"
    assert "3 of them lie in the archive, in 2 files that were read through." in checked.output
    assert run(here, tmp_path, "archive", "--before", "2025-01").output.strip() == "moved: 0 months"


def test_an_event_that_turned_up_late_makes_a_second_part(here: Place, tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    archive.archive(here.owner, store, before=dt.date(2024, 12, 1), signer=None, actor=OPERATOR)
    with pytest.MonkeyPatch.context() as patch, Session(here.owner) as session, session.begin():
        patch.setattr(services, "now", lambda: dt.datetime(2024, 11, 30, tzinfo=dt.UTC))
        told(session, "was late")
        session.execute(text("SELECT audit_events_add_months()"))
    archive.archive(here.owner, store, before=dt.date(2024, 12, 1), signer=None, actor=OPERATOR)
    with Session(here.application) as session:
        assert session.scalars(select(AuditArchive.name).order_by(AuditArchive.part)).all() == [
            "archive/2024-11.1.ndjson.gz",
            "archive/2024-11.2.ndjson.gz",
        ]
        assert verify(session).intact


@pytest.mark.parametrize(
    ("before", "why"), [("2025", "not a month such as"), ("2999-01", "can be archived; 2999-01 is later")]
)
def test_a_month_that_is_none_or_not_over_is_refused(
    here: Place, tmp_path: Path, before: str, why: str
) -> None:
    refused = run(here, tmp_path, "archive", "--before", before)
    assert refused.exit_code != 0
    assert why in refused.output + str(refused.exception)


def test_nothing_is_dropped_that_the_store_gives_back_otherwise(here: Place, tmp_path: Path) -> None:
    class Forgetful(FileStore):
        def read_evidence(self, name: str, *, limit: int) -> bytes | None:
            data = super().read_evidence(name, limit=limit)
            return data[:-1] if data and name.endswith(".gz") else data

    with pytest.raises(archive.NotArchivedError, match="not read back as it was written"):
        archive.archive(
            here.owner, Forgetful(tmp_path), before=dt.date(2024, 12, 1), signer=None, actor=OPERATOR
        )
    broken = FileStore(tmp_path / "other")
    broken.create_evidence("archive/2024-11.1.ndjson.gz", b"another one's")
    with pytest.raises(archive.NotArchivedError, match="The store has another"):
        archive.archive(here.owner, broken, before=dt.date(2024, 12, 1), signer=None, actor=OPERATOR)
    with Session(here.owner) as session:
        session.execute(text("ALTER TABLE audit_events DISABLE TRIGGER audit_events_refuse_change"))
        session.execute(text("UPDATE audit_events SET sentence = 'x' WHERE sequence = 5"))
        session.commit()
    with pytest.raises(archive.NotArchivedError, match="The record is not whole"):
        archive.archive(
            here.owner,
            FileStore(tmp_path / "third"),
            before=dt.date(2024, 12, 1),
            signer=None,
            actor=OPERATOR,
        )
    with Session(here.application) as session:
        assert session.get(AuditEvent, 1) is not None


def test_the_application_cannot_archive(here: Place, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"must be owner|permission denied"):
        archive.archive(
            here.application, FileStore(tmp_path), before=dt.date(2024, 12, 1), signer=None, actor=OPERATOR
        )
    with Session(here.application) as session:
        assert session.get(AuditEvent, 1) is not None


def test_what_is_not_looked_at_stays_and_the_access_list_goes_on_without_its_months(
    here: Place, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch, Session(here.owner) as session, session.begin():
        patch.setattr(services, "now", lambda: dt.datetime(2024, 11, 6, 12, tzinfo=dt.UTC))
        added = told(session, "added Zoe", action="person.added", object_kind="person",
                     object_key="zoe@example.com", after={"name": "Zoe", "role": "editor"}).id  # fmt: skip
        patch.setattr(services, "now", lambda: dt.datetime(2025, 1, 6, 12, tzinfo=dt.UTC))
        told(session, "made Zoe a publisher", action="person.role_changed", object_kind="person",
             object_key="zoe@example.com", after={"role": "publisher"})  # fmt: skip
        session.execute(text("SELECT audit_events_add_months()"))
    tried = run(here, tmp_path, "archive", "--before", "2025-01", "--dry-run").output
    assert tried.splitlines()[-1].startswith(
        "Nothing would be moved: 1 change waits in these months for a review"
    )
    refused = run(here, tmp_path, "archive", "--before", "2025-01")
    assert "1 change waits" in refused.output
    with Session(here.owner) as session, session.begin():
        reviewing.answer(session, added, state=State.REVIEWED, actor=replace(GRACE, may_review=True))
    assert run(here, tmp_path, "archive", "--before", "2025-01").output.splitlines()[-1] == "moved: 2 months"
    with Session(here.application) as session:
        for day, role in (("2024-11-30", "editor"), ("2024-12-31", "editor"), ("2025-01-05", "editor"),
                          ("2025-01-06", "publisher")):  # fmt: skip
            (zoe,) = access_on(session, dt.date.fromisoformat(day))
            assert (zoe.name, zoe.role.value, zoe.added_at.date().isoformat()) == ("Zoe", role, "2024-11-06")
        assert zoe.granted_in != added
        known = {day: last_known(session, dt.date.fromisoformat(day)).isoformat() for day in
                 ("2024-10-03", "2024-11-30", "2024-12-10", "2025-01-05")}  # fmt: skip
        assert known == {"2024-10-03": "2024-10-03", "2024-11-30": "2024-11-30", "2024-12-10": "2024-11-30",
                         "2025-01-05": "2025-01-05"}  # fmt: skip
        moment = dt.datetime(2024, 11, 6, tzinfo=dt.UTC)
        assert [each.name for each in archive.where_it_lies(session, ulid_of(moment))] == [
            "archive/2024-11.1.ndjson.gz"
        ]
        assert archive.where_it_lies(session, "no id") == []
        with pytest.raises(NotFound):
            reviewing.reply(session, added, comment="Too late", actor=GRACE)


def ulid_of(moment: dt.datetime) -> str:
    value, letters = int(moment.timestamp() * 1000), "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    return "".join(letters[value >> shift & 31] for shift in range(45, -5, -5)) + "0" * 16

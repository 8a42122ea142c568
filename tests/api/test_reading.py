"""Reading with a token: what is live as it is exported, lists that go on, and the record without a gap."""

import datetime as dt
import json

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.audit import finding
from controlplane.audit import services as audit
from controlplane.audit.conditions import Wanted
from controlplane.audit.language import parse
from controlplane.audit.models import AuditEvent
from controlplane.db import now
from controlplane.releases.history import snapshot_of
from controlplane.runtime.snapshot import Snapshot
from tests.api.conftest import ProgramOf
from tests.api.ways import ADA
from tests.releases.changing import move
from tests.tokens.stage import Program


@pytest.fixture
def reader(program: ProgramOf) -> Program:
    return program("viewer")


def test_what_is_live_is_what_the_export_has_and_costs_little_to_ask_again(
    first_data: Session, reader: Program
) -> None:
    live = reader.get("/production/live")
    assert (live.status, live.json["release"]) == (200, 1)
    exported = Snapshot.load(snapshot_of(first_data, "production", 1), release=1, environment="production")
    assert live.json["entries"] == exported.documents()
    etag = live.headers["ETag"]
    again = reader.get("/production/live", headers={"If-None-Match": etag})
    assert (again.status, again.response.get_data()) == (304, b"")
    move(first_data, "production", {"tier/gold": {"name": "Gold", "rank": 9}})
    first_data.commit()
    changed = reader.get("/production/live", headers={"If-None-Match": etag})
    assert (changed.status, changed.json["release"]) == (200, 2)


def test_releases_go_on_under_a_number(first_data: Session, reader: Program) -> None:
    for rank in range(4):
        move(first_data, "production", {"tier/gold": {"name": "Gold", "rank": 20 + rank}})
    first_data.commit()
    found, before = [], ""
    while True:
        page = reader.get(f"/production/releases?limit=2{before}").json
        found += [each["release"] for each in page["releases"]]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert found == [5, 4, 3, 2, 1]
    one = reader.get("/production/releases/3").json
    assert [(each["key"], each["fields"]) for each in one["changes"]] == [
        ("tier/gold", [{"field": "rank", "before": 20, "after": 21}])
    ]
    assert one["arrival"]["export"] == "waiting"
    assert reader.get("/production/releases/99").status == 404


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "before=x", "before=99999999999999999999", "page=2", "limit=1e3"]
)
def test_a_list_is_asked_for_in_order_or_not_at_all(reader: Program, query: str) -> None:
    answer = reader.get(f"/production/releases?{query}")
    assert answer.status == 422
    assert list(answer.errors) == [query.partition("=")[0]]


def test_a_program_that_follows_the_record_gets_every_change_once(
    first_data: Session, reader: Program
) -> None:
    reader.get("/environments")
    found: list[int] = []
    after = 0
    while True:
        page = reader.get(f"/changes?limit=37&after={after}").json
        assert page["next"] >= after
        if not page["changes"]:
            break
        found += [each["sequence"] for each in page["changes"]]
        after = page["next"]
    assert found == list(first_data.scalars(select(AuditEvent.sequence).order_by(AuditEvent.sequence)))
    assert page["next"] == after, "nothing new: asked again from the same place"


def test_what_began_earlier_and_came_later_is_not_passed_over(
    first_data: Session, reader: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader.get("/environments")

    def tell(name: str, at: dt.datetime) -> int:
        monkeypatch.setattr(audit, "now", lambda: at)
        told = audit.record(
            first_data,
            actor=ADA,
            action="tier.added",
            object_kind="tier",
            object_key=name,
            sentence=f"added tier {name}",
        )
        first_data.commit()
        return told.sequence

    moment = now()
    first = tell("quick", moment)
    assert reader.get(f"/changes?after={first - 1}").json["next"] == first
    second = tell("slow", moment - dt.timedelta(minutes=5))
    assert [each["object_key"] for each in reader.get(f"/changes?after={first}").json["changes"]] == ["slow"]
    assert second == first + 1


def test_what_is_rare_is_found_stretch_by_stretch_and_not_looked_for_again(
    first_data: Session, reader: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "FIRST_STEP", 3)
    reader.get("/environments")
    last = finding.last_number(first_data)
    for query in ("kind:tier", "is:unreviewed", "is:emergency", "kind:nothing"):
        page = reader.get(f"/changes?q={query}").json
        wanted = Wanted(parse(query).query)
        assert len(page["changes"]) == finding.count(first_data, wanted)
        assert page["next"] == last, "up to the end, whatever was found"
    some = reader.get("/changes?q=kind:tier&limit=2").json
    assert some["next"] == some["changes"][-1]["sequence"] < last


def test_the_record_is_asked_in_the_language_of_the_page(reader: Program) -> None:
    found = reader.get("/changes?q=kind:tier+action:added&limit=500").json["changes"]
    assert found
    assert {each["action"] for each in found} == {"tier.added"}
    assert found[0]["url"].endswith(f"/changes/{found[0]['id']}")
    wrong = reader.get("/changes?q=wh:o")
    assert (wrong.status, list(wrong.errors)) == (422, ["q"])
    assert "Unknown word" in wrong.errors["q"]


def test_the_record_comes_as_a_line_for_each_change_too(reader: Program) -> None:
    lines = reader.get("/changes?format=ndjson&limit=5")
    assert lines.headers["Content-Type"] == "application/x-ndjson"
    told = [json.loads(line) for line in lines.response.get_data(as_text=True).splitlines()]
    page = reader.get("/changes?limit=5").json
    assert (told, int(lines.headers["Next-After"])) == (page["changes"], page["next"])
    assert lines.headers["Token-Expires"].endswith("+00:00")


def test_why_somebody_gets_what_they_get(reader: Program) -> None:
    asked = "/production/explain?interaction=COACHING_RESPONSE&tier=premium&unit=u1"
    found = reader.get(asked).json
    assert found["release"] == 1
    assert len(found["answers"]) == 1
    assert found["answers"][0]["chain"]
    assert len(reader.get(f"{asked}&other=u2").json["answers"]) == 2
    assert reader.get("/production/explain?tier=premium").errors == {"interaction": "This is needed."}
    assert list(reader.get(f"{asked}&at=2001-01-01").errors) == ["at"]
    assert list(reader.get(f"{asked}&at=9999-12-31T23:59:59-12:00").errors) == ["at"]
    assert list(reader.get(f"{asked}&unit=u2").errors) == ["unit"], "given twice, one would be passed over"
    assert list(reader.get(f"{asked}&values=no").errors) == ["values"]

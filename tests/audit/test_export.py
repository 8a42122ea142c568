"""Changes as a file: all that the page counted, harmless to open, sealed by its last line, and recorded."""

import csv
import hashlib
import io
import json
from collections.abc import Callable

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.audit import export
from controlplane.audit.conditions import Wanted
from controlplane.audit.identifiers import new_identifier
from controlplane.audit.language import parse
from controlplane.audit.models import AuditEvent
from controlplane.db import now
from tests.audit.events import GRACE, told
from tests.page import Page, PageClient

ClientAs = Callable[[Role | str], PageClient]

# Beginnings of formulas, ends of lines, and signs that turn reading round.
HOSTILE = [
    '=HYPERLINK("http://x","y")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1+1",
    "a\r\nb,c",
    'quote " and , comma',
    "\u202edesrever",
    "\u2066isolated\u2069",
    "x\u2028y\u2029z\x0bw",
    "<script>alert(1)</script>",
]


def seal_of(page: Page, form: str) -> tuple[int, str]:
    """What the last line says, after what came before it was hashed."""
    body = page.response.get_data()
    before, last = body[: body[:-1].rfind(b"\n") + 1], body[body[:-1].rfind(b"\n") + 1 :].decode()
    if form == "csv":
        cells = next(csv.reader([last]))
        count, sha256 = int(cells[1]), cells[3]
    else:
        told = json.loads(last if form == "ndjson" else "{" + last)
        count, sha256 = told["count"], told["sha256"]
    assert hashlib.sha256(before).hexdigest() == sha256
    return count, sha256


def rows_of(page: Page, form: str) -> list[dict[str, str]]:
    text = page.text
    if form == "csv":
        return list(csv.DictReader(io.StringIO(text)))[:-1]
    if form == "json":
        return list(json.loads(text)["changes"])
    return [json.loads(line) for line in text.splitlines()[:-1]]


@pytest.mark.parametrize("form", export.FORMATS)
def test_a_file_holds_all_that_the_page_counted_and_is_recorded(
    client_as: ClientAs, first_data: Session, form: str
) -> None:
    for number in range(120):
        told(first_data, f"change {number}", before={"a": "ä\u202e"}, after=None)
    told(first_data, "somebody else's", actor=GRACE)
    first_data.commit()
    client = client_as("viewer")
    page = client.get("/changes?q=actor:ada-1")
    assert "120 changes" in page.body
    told(first_data, "after the page was drawn")
    first_data.commit()
    taken = client.get(page.link(form.upper()))
    rows = rows_of(taken, form)
    assert seal_of(taken, form)[0] == len(rows) == 120
    assert [row["sentence"] for row in rows] == [f"change {number}" for number in reversed(range(120))]
    assert "attachment" in taken.headers["Content-Disposition"]
    assert rows[0]["at"].endswith("Z")
    assert "\u202e" not in taken.text
    newest = client.get(rows[0]["url"].removeprefix("http://localhost"))
    assert "change 119" in newest.body
    (event,) = client.get("/changes?q=action:changes.exported").all("li", class_="change")
    assert f"exported 120 changes as {form.upper()}: actor:ada-1" in "".join(event.itertext())


def test_without_a_page_an_export_ends_before_itself(client_as: ClientAs) -> None:
    client = client_as("viewer")
    count = int(client.get("/changes").body.partition(" changes")[0].rpartition(" ")[2])
    assert seal_of(client.get("/changes.ndjson"), "ndjson")[0] == count
    assert seal_of(client.get("/changes.json?q=env:nowhere"), "json")[0] == 0
    assert json.loads(client.get("/changes.json?q=env:nowhere").text)["changes"] == []


@pytest.mark.parametrize("form", export.FORMATS)
def test_hostile_content_computes_nothing_and_forges_no_line(
    client_as: ClientAs, first_data: Session, form: str
) -> None:
    # Past `record`, which lets no such sign in: what lies in the table may be older, or come from elsewhere.
    texts = ["actor_id", "actor_name", "actor_role", "via", "action", "object_key", "environment", "sentence", "reason", "request_id", "address", "user_agent", "ticket", "token", "owner_id", "owner_name"]  # fmt: skip
    for said in HOSTILE:
        first_data.add(
            AuditEvent(
                id=new_identifier(),
                at=now(),
                actor_kind="person",
                object_kind="odd",
                before={said: said},
                **dict.fromkeys(texts, said),
            )
        )
        first_data.flush()
    first_data.commit()
    client = client_as("viewer")
    taken = client.get(f"/changes.{form}?q=kind:odd")
    lines = taken.text.splitlines()
    extra = {"csv": 2, "ndjson": 1, "json": 3}[form]
    assert len(lines) == len(HOSTILE) + extra
    assert all(line.isprintable() for line in lines)
    if form == "csv":
        cells = [cell for row in csv.reader(lines) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝"))]
        assert '\'=HYPERLINK("http://x","y")' in cells
    else:
        keys = {row["object_key"] for row in rows_of(taken, form)}
        assert keys == set(HOSTILE)
    listed = client.get("/changes?q=kind:odd")
    shown = listed.by_id("results")
    assert not [text for text in shown.itertext() if not text.replace("\n", " ").isprintable()]
    assert not shown.findall(".//script")


def test_what_cannot_be_read_is_not_exported(client_as: ClientAs) -> None:
    client = client_as("viewer")
    page = client.get("/changes.csv?q=actr:x")
    assert page.status == 422
    assert "Did you mean “actor:”?" in page.body


def test_asking_only_for_the_headers_records_nothing(client_as: ClientAs) -> None:
    client = client_as("viewer")
    assert client.flask.head("/changes.csv").status_code == 200
    assert "No change matches" in client.get("/changes?q=action:changes.exported").body


def test_a_reader_who_leaves_closes_the_cursor(session: Session) -> None:
    for number in range(1_200):
        told(session, f"change {number}")
    closed: list[int] = []
    opened: list[Session] = []

    def open_session() -> Session:
        own = Session(session.connection(), join_transaction_mode="create_savepoint")
        event.listen(own, "after_transaction_end", lambda *_: closed.append(1))
        opened.append(own)
        return own

    pieces = export.stream(open_session, Wanted(parse("actor:ada-1").query), "ndjson", url_of=str)
    assert opened == []
    assert next(pieces) == b""
    assert next(pieces).count(b"\n") == 500
    assert closed == []
    pieces.close()  # type: ignore[attr-defined]
    assert closed

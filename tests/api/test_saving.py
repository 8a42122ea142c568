"""Saving with a token: idempotent, never over somebody's head, and refused with everything that is wrong."""

from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from controlplane.audit.models import AuditEvent
from controlplane.prompts import services as prompts
from controlplane.tokens import minting
from tests.api.conftest import ProgramOf
from tests.api.ways import ADA, PLACE, save_text, values
from tests.tokens.stage import Program

TEXT = "/templates/coaching_response"
NEW = {"body": "x", "interaction": "COACHING_RESPONSE", "reason": "A try"}


@pytest.fixture
def editor(program: ProgramOf) -> Program:
    caller = program("editor")
    caller.get("/environments")  # the day's first use is an event of its own
    return caller


def events(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(AuditEvent)) or 0


def test_what_is_saved_already_makes_no_version_and_no_event(first_data: Session, editor: Program) -> None:
    saved = editor.get(TEXT).json
    before = events(first_data)
    for document in (
        {"body": saved["body"]},
        {"body": saved["body"].replace("\n", "\r\n"), "base_version": 77},
    ):
        again = editor.put(TEXT, document)
        assert (again.status, again.json["saved"], again.json["version"]) == (200, False, saved["version"])
    same = editor.get(PLACE).json
    answer = editor.put(PLACE, same["values"])
    assert (answer.status, answer.json["saved"], answer.json["version"]) == (200, False, same["version"])
    assert events(first_data) == before


def test_a_changed_text_is_the_next_version_and_says_what_it_was_made_from(editor: Program) -> None:
    saved = editor.get(TEXT).json
    changed = {"body": saved["body"] + "\nBe brief.\n", "reason": "Answers were long"}
    unsaid = editor.put(TEXT, changed)
    assert unsaid.status == 422
    assert "version 1 is the newest" in unsaid.errors["base_version"]
    answer = editor.put(TEXT, {**changed, "base_version": 1})
    assert (answer.status, answer.json["saved"], answer.json["version"]) == (200, True, 2)
    assert editor.get(TEXT).json["body"].endswith("Be brief.\n")
    repeated = editor.put(TEXT, {**changed, "base_version": 1})
    assert (repeated.status, repeated.json["saved"]) == (200, False), "sent again, after an answer was lost"


def test_nobody_s_later_change_is_written_over(first_data: Session, editor: Program) -> None:
    save_text(first_data)
    mine = {"body": "Something else.\n", "base_version": 1, "reason": "From the repository"}
    answer = editor.put(TEXT, mine)
    assert answer.status == 409
    assert answer.json["detail"] == "Ada saved version 2 of coaching_response while you were editing."
    assert prompts.get_prompt(first_data, "coaching_response").versions[0].number == 2
    configuration = {**values(0.3), "base_version": 1}
    assert editor.put(PLACE, configuration).status == 200
    late = editor.put(PLACE, {**values(0.4), "base_version": 1})
    assert late.status == 409
    assert "is at version 2 by now" in late.json["detail"]


@pytest.mark.parametrize(
    ("body", "line", "column", "words"),
    [
        ("You are kind.\n{{ nobody_knows }}", 2, 4, "nobody_knows"),
        ("{% for x in y %}", 1, None, "for"),
        ("Key:\n\nREDACTED", 3, None, "a token of this control plane"),
    ],
)
def test_a_text_that_cannot_be_one_is_refused_with_the_place(
    editor: Program, body: str, line: int, column: int | None, words: str
) -> None:
    answer = editor.put(
        TEXT, {"body": body.replace("REDACTED", minting.mint().text), "base_version": 1, "reason": "A try"}
    )
    assert answer.status == 422
    (error,) = answer.json["errors"]
    assert (error["field"], error["line"]) == ("body", line)
    assert column is None or error["column"] == column
    assert words in error["message"]


def test_a_new_template_and_a_new_configuration_have_an_address(editor: Program) -> None:
    document = {"body": "You are kind.\n", "interaction": "COACHING_RESPONSE", "reason": "A second one"}
    made = editor.put("/templates/kind_words", document)
    assert (made.status, made.json["version"]) == (201, 1)
    assert made.headers["Location"] == "/api/v1/templates/kind_words"
    tenant = editor.put(f"{PLACE}/acme", values())
    assert tenant.status == 201
    assert tenant.headers["Location"] == f"/api/v1{PLACE}/acme"
    assert editor.get(f"{PLACE}/acme").json["values"]["temperature"] == 0.1


@pytest.mark.parametrize(
    ("path", "document", "status", "fields"),
    [
        ("/templates/kind_words", {"body": "x", "reason": "A try"}, 422, {"interaction"}),
        (
            "/templates/new",
            {"body": "x", "interaction": "COACHING_RESPONSE", "reason": "A try"},
            422,
            {"code"},
        ),
        (
            "/templates/kind_words",
            {**NEW, "description": "with AKIAIOSFODNN7EXAMPLE"},
            422,
            {"description"},
        ),
        ("/templates/kind_words", {**NEW, "description": "x" * 201}, 422, {"description"}),
        ("/templates/kind_words", {"body": "x", "base_version": 1}, 404, set()),
        (TEXT, {"body": "x", "base_version": 1, "reason": "A try", "bodi": "y"}, 422, {"bodi"}),
        (TEXT, {"base_version": "1"}, 422, {"body", "base_version"}),
        (TEXT, {"body": "x", "base_version": 1}, 422, {"reason"}),
        (
            TEXT,
            {"body": "x", "interaction": "OTHER", "description": "y", "base_version": 1, "reason": "A try"},
            422,
            {"interaction", "description"},
        ),
        (PLACE, {"model": "NONE", "temperature": "hot"}, 422, {"model", "prompt", "temperature", "reason"}),
        (PLACE, {**values(), "modle": "x", "base_version": 1}, 422, {"modle"}),
        (f"{PLACE}/a%20b", values(), 422, {"tenant"}),
        ("/configurations/NOTHING/premium", values(), 422, {"interaction"}),
        (f"{PLACE}/acme", {**values(), "base_version": 3}, 409, set()),
    ],
)
def test_what_cannot_be_saved_is_told_field_by_field(
    editor: Program, path: str, document: dict[str, Any], status: int, fields: set[str]
) -> None:
    answer = editor.put(path, document)
    assert answer.status == status, answer.json
    assert set(answer.errors) >= fields
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("data", "kind", "status", "words"),
    [
        (b'{"body": ', "application/json", 400, "line 1, column 10"),
        (b'["body"]', "application/json", 400, "Send an object"),
        (b'{"body": "a", "body": "b"}', "application/json", 400, "cannot be used"),
        (b'{"body": NaN}', "application/json", 400, "cannot be used"),
        (b'{"body": "\\ud800"}', "application/json", 400, "half a character"),
        (b'{"body": "\xff"}', "application/json", 400, "UTF-8"),
        (b"[" * 100_000, "application/json", 400, "cannot be used"),
        (b"body=a", "application/x-www-form-urlencoded", 415, "Content-Type"),
        (b'{"body": "' + b"a" * 1024 * 1024 + b'"}', "application/json", 413, "1 MiB"),
        (b'{"body": "a\\u0000b", "base_version": 1, "reason": "A try"}', "application/json", 422, "NUL"),
    ],
)
def test_a_body_that_cannot_be_read_is_no_fault_of_ours(
    editor: Program, data: bytes, kind: str, status: int, words: str
) -> None:
    answer = editor.call("PUT", TEXT, data=data, content_type=kind)
    assert answer.status == status
    assert words in answer.json["detail"]


@pytest.mark.parametrize("path", ["/templates/%00", "/configurations/X%00/premium", f"{PLACE}/a%00"])
def test_an_address_that_no_column_can_hold_is_not_there(editor: Program, path: str) -> None:
    assert editor.get(path).status == 404


def test_an_archived_template_is_not_changed_behind_anybody_s_back(
    first_data: Session, editor: Program
) -> None:
    made = prompts.create_prompt(
        first_data,
        code="old_words",
        interaction="COACHING_RESPONSE",
        body="Old.\n",
        reason="A try",
        actor=ADA,
    )
    prompts.archive_prompt(first_data, made, reason="Not needed", actor=ADA)
    first_data.commit()
    for body in ("Old.\n", "New.\n"):
        answer = editor.put("/templates/old_words", {"body": body, "base_version": 1, "reason": "A try"})
        assert answer.status == 422
        assert "archived" in answer.json["detail"]

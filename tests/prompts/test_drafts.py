"""The private draft of a template: kept, found again, compared, thrown away and had back."""

from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.prompts import services
from controlplane.prompts.models import PromptDraft
from tests.page import PageClient
from tests.prompts.test_views import BODY, CODE, HERE, ClientAs, edit_form, save

EDIT = f"{HERE}/{CODE}/edit"
DRAFT = f"{HERE}/{CODE}/draft"


@pytest.fixture
def editor(client_as: ClientAs) -> PageClient:
    return client_as("editor")


def keep(client: PageClient, body: str) -> None:
    answer = client.post(f"/_{DRAFT}", edit_form(client) | {"body": body}, htmx=True)
    assert (answer.status, answer.headers["HX-Trigger"]) == (200, "saved")


def test_a_draft_is_kept_by_its_button_and_found_again(editor: PageClient) -> None:
    sent = edit_form(editor) | {"body": "{% half", "value-topic": "kept"}
    again = editor.follow(editor.post(DRAFT, sent)).form(EDIT)
    assert (again["body"], again["value-topic"]) == ("{% half", "kept")
    assert "Go on with your draft" in editor.get(f"{HERE}/{CODE}").body


def test_what_is_kept_while_one_types_says_since_when(editor: PageClient) -> None:
    answer = editor.post(f"/_{DRAFT}", edit_form(editor) | {"body": "work"}, htmx=True)
    assert answer.headers["HX-Trigger"] == "saved"
    assert "Draft saved just now; only you see it" in answer.body
    assert edit_form(editor)["body"] == "work"


def test_a_character_that_no_text_may_hold_does_not_cost_the_draft(editor: PageClient) -> None:
    keep(editor, "a\x00b")
    assert edit_form(editor)["body"] == "a\N{REPLACEMENT CHARACTER}b"


def test_somebody_elses_draft_is_not_shown(editor: PageClient, client_as: ClientAs) -> None:
    keep(editor, "private")
    other = client_as("admin")
    assert "private" not in other.get(EDIT).text
    assert "Go on with your draft" not in other.get(f"{HERE}/{CODE}").text
    assert "You have no draft" in other.follow(other.get(DRAFT)).body


def test_a_draft_on_an_older_version_says_so_and_shows_both(
    first_data: Session, editor: PageClient, person: Callable[..., Actor]
) -> None:
    keep(editor, "work")
    save(first_data, BODY, person("editor", name="Ben"))
    page = editor.get(EDIT)
    assert "begun from version 1. Version 2 was saved since by Ben" in page.body
    compared = editor.get(page.link("Compare"))
    assert "From version 1, where it began, to your draft" in compared.body
    assert "From version 2, the newest, to your draft" in compared.body


def test_an_older_text_is_offered_beside_the_draft_and_does_not_replace_it_unasked(
    first_data: Session, editor: PageClient, person: Callable[..., Actor]
) -> None:
    save(first_data, BODY, person("editor"))
    keep(editor, "work")
    page = editor.get(f"{EDIT}?version=1")
    assert page.form(EDIT)["body"] != "work"
    assert "You have a draft" in page.body
    assert editor.get(page.link("Continue")).form(EDIT)["body"] == "work"


def test_a_discarded_draft_can_be_had_back(editor: PageClient) -> None:
    keep(editor, "work")
    shown = editor.follow(editor.post(f"{DRAFT}/discard", {}))
    assert "Go on with your draft" not in shown.body
    assert edit_form(editor)["body"] != "work"
    assert editor.follow(editor.submit(shown, f"{DRAFT}/restore")).form(EDIT)["body"] == "work"
    again = editor.follow(editor.post(f"{DRAFT}/restore", {}))
    assert "You have no draft" in again.body


def test_what_was_being_kept_while_it_became_a_version_is_no_draft(
    first_data: Session, editor: PageClient
) -> None:
    sent = edit_form(editor) | {"body": BODY, "reason": "Shorter"}
    assert editor.post(f"{HERE}/{CODE}/versions", sent).status == 303
    answer = editor.post(f"/_{DRAFT}", sent, htmx=True)
    assert "No draft" in answer.body
    assert list(first_data.scalars(select(PromptDraft))) == []


def test_whoever_came_second_has_what_they_wrote_as_a_draft(
    first_data: Session, editor: PageClient, person: Callable[..., Actor]
) -> None:
    sent = edit_form(editor) | {"body": "All {{ user_message }} mine\n", "reason": "Mine"}
    save(first_data, BODY, person("editor", name="Ben"))
    page = editor.post(f"{HERE}/{CODE}/versions", sent)
    assert page.status == 409
    assert "what you wrote is kept as your draft" in page.body
    assert "Ben saved version 2 while you were editing" in page.body
    draft = first_data.scalars(select(PromptDraft)).one()
    assert (draft.body, draft.base_version) == ("All {{ user_message }} mine\n", 1)
    again = {**page.form(EDIT), "reason": "Mine after all"}
    assert editor.post(f"{HERE}/{CODE}/versions", again).status == 303
    assert services.get_version(first_data, CODE, 3).body == "All {{ user_message }} mine\n"
    assert list(first_data.scalars(select(PromptDraft))) == []


def test_a_first_text_is_kept_until_it_is_a_template_or_thrown_away(editor: PageClient) -> None:
    page = f"{HERE}/new?interaction=KPI_ANALYSIS"
    draft = f"{HERE}/new/KPI_ANALYSIS/draft"
    form = editor.get(page).form(f"{HERE}/new/preview")
    sent = form | {"body": "Half {{ curr", "code": "kpi_short", "value-goals": "One"}
    assert "Draft saved" in editor.post(f"/_{draft}", sent, htmx=True).text
    opened = editor.get(page)
    assert "This is your draft" in opened.body
    assert opened.form(f"{HERE}/new/preview") | {"reason": ""} == sent | {"reason": "", "sample": ""}
    assert "KPI_ANALYSIS, kept" in editor.get(f"{HERE}/new").body
    undo = editor.follow(editor.post(f"{draft}/discard"))
    assert "begun already" not in editor.get(f"{HERE}/new").body
    editor.follow(editor.submit(undo, f"{draft}/restore"))
    editor.follow(editor.post(f"{HERE}/new", sent | {"body": "Short", "reason": "A short one"}))
    assert "This is your draft" not in editor.get(page).body
    assert editor.post(f"/_{HERE}/new/NO_SUCH/draft", sent, htmx=True).status == 404

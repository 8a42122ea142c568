"""The private draft of a snippet: kept, found again, compared, thrown away and had back."""

from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.snippets import services
from controlplane.snippets.models import SnippetDraft
from tests.page import Page, PageClient

TONE = "/production/templates/snippets/tone"
EDIT, DRAFT = f"{TONE}/edit", f"{TONE}/draft"

ClientAs = Callable[..., PageClient]


@pytest.fixture
def client(first_data: Session, editor: Actor, client_as: ClientAs) -> PageClient:
    """An editor's browser, where there is one snippet."""
    services.create_snippet(
        first_data, code="tone", body="Be kind.\n", reason="Said in several", actor=editor
    )
    return client_as("editor")


def sent(client: PageClient, body: str, **changes: str) -> dict[str, str]:
    return client.get(EDIT).form(f"{TONE}/edit") | {"body": body} | changes


def keep(client: PageClient, body: str, **changes: str) -> Page:
    return client.post(f"/_{DRAFT}", sent(client, body, **changes), htmx=True)


def save_another(session: Session, actor: Actor, body: str) -> None:
    snippet = services.get_snippet(session, "tone")
    newest = snippet.versions[0].number
    services.save_version(session, snippet, body=body, base_version=newest, reason="A word", actor=actor)


def test_a_draft_is_kept_with_its_reason_and_found_again(client: PageClient) -> None:
    answer = client.post(DRAFT, sent(client, "{% half", reason="Because it"))

    again = client.follow(answer)
    assert "This is your draft" in again.body
    found = again.form(EDIT)
    assert (found["body"], found["reason"]) == ("{% half", "Because it")
    assert "Go on with your draft" in client.get(TONE).body


def test_what_is_kept_while_one_types_says_since_when(client: PageClient) -> None:
    answer = keep(client, "Be ki\x00nder.\n")

    assert (answer.status, answer.headers["HX-Trigger"]) == (200, "saved")
    assert "Draft saved just now; only you see it" in answer.body
    assert sent(client, "")["reason"] == ""
    assert client.get(EDIT).form(EDIT)["body"] == "Be ki\N{REPLACEMENT CHARACTER}nder.\n"


def test_somebody_elses_draft_is_not_shown(client: PageClient, client_as: ClientAs) -> None:
    keep(client, "private")
    other = client_as("admin")

    assert "private" not in other.get(EDIT).text
    assert "Go on with your draft" not in other.get(TONE).text
    assert "You have no draft" in other.follow(other.get(DRAFT)).body


def test_a_draft_on_an_older_version_shows_both_and_saving_it_asks(
    client: PageClient, first_data: Session, editor: Actor
) -> None:
    keep(client, "Be kind and brief.\n")
    save_another(first_data, editor, "Be patient.\n")

    page = client.get(DRAFT)
    assert "Version 2 was saved since" in page.body
    assert "From version 1, where it began, to your draft" in page.body
    assert "From version 2, the newest, to your draft" in page.body
    form = client.get(EDIT).form(EDIT)
    assert client.post(f"{TONE}/versions", form | {"reason": "Shorter"}).status == 409


def test_an_older_version_may_be_begun_from_beside_a_draft(client: PageClient) -> None:
    keep(client, "mine")

    page = client.get(f"{EDIT}?version=1")
    assert "You have a draft" in page.body
    assert page.form(EDIT)["body"] == "Be kind.\n"


def test_a_draft_thrown_away_can_be_had_back(client: PageClient) -> None:
    keep(client, "mine")
    client.follow(client.post(f"{DRAFT}/discard"))
    assert client.get(EDIT).form(EDIT)["body"] == "Be kind.\n"

    again = client.follow(client.post(f"{DRAFT}/restore"))
    assert again.form(EDIT)["body"] == "mine"

    client.post(f"{TONE}/versions", again.form(EDIT) | {"reason": "It is mine"})
    assert "You have no draft" in client.follow(client.post(f"{DRAFT}/restore")).body


def test_a_saved_text_leaves_no_draft_not_even_one_that_arrives_late(
    client: PageClient, first_data: Session
) -> None:
    late = sent(client, "Be kinder.\n")
    keep(client, "Be kinder.\n")
    client.follow(client.post(f"{TONE}/versions", late | {"reason": "Kinder"}))

    answer = client.post(f"/_{DRAFT}", late, htmx=True)

    assert "No draft" in answer.body
    assert first_data.scalars(select(SnippetDraft)).all() == []


def test_more_than_a_text_may_hold_is_no_draft_and_is_not_lost(client: PageClient) -> None:
    assert keep(client, "x" * 300_000).status == 413
    answer = client.post(DRAFT, sent(client, "x" * 300_000))
    assert answer.status == 422
    assert "Use at most 200000 characters." in answer.body
    assert answer.form(EDIT)["body"] == "x" * 300_000

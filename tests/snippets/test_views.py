"""The pages of snippets: written, previewed in a template, saved with their effect told, and named wherever they reach."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.prompts.models import PromptVersion
from controlplane.snippets import services
from tests.page import PageClient
from tests.releases.changing import publish_saved

LIST = "/production/templates/snippets"
TONE = f"{LIST}/tone"
COACHING = "coaching_response"
FOLLOWING = 'You coach.\n{% include "shared/tone" %}\nAnswer {{ user_message }}\n'

ClientAs = Callable[..., PageClient]
Including = Callable[..., PromptVersion]


@pytest.fixture
def followed(first_data: Session, editor: Actor, including: Including) -> None:
    services.create_snippet(
        first_data, code="tone", body="Be kind.\nBe brief.\n", reason="Said in several", actor=editor
    )
    including(COACHING, FOLLOWING)


def test_a_snippet_is_written_and_found(client_as: ClientAs) -> None:
    client = client_as("editor")
    assert "No snippets yet" in client.get(LIST).body
    form = client.get(f"{LIST}/new").form(f"{LIST}/new")

    refused = client.post(
        f"{LIST}/new", {**form, "code": "Tone", "body": "{% if x %}", "reason": "Said twice"}
    )
    assert refused.status == 422
    assert refused.form(f"{LIST}/new")["body"] == "{% if x %}"
    answer = client.post(
        f"{LIST}/new", {**form, "code": "tone", "body": "Be {{ kind }}.", "reason": "Said twice"}
    )

    assert (answer.status, answer.location) == (303, TONE)
    page = client.get(TONE)
    assert "Not used yet" in page.body
    assert '{% include "shared/tone" %}' in page.body
    assert "shared/tone" in client.get(LIST).body
    assert "Snippets" in client.get("/production/templates").body


@pytest.mark.usefixtures("followed")
def test_the_page_names_every_template_and_configuration_that_a_change_reaches(client_as: ClientAs) -> None:
    page = client_as("viewer").get(TONE)

    assert "Used in 1 template" in page.body
    for told in (COACHING, "Follows, v1", "COACHING_RESPONSE · premium", "Production: without it"):
        assert told in page.body, told


@pytest.mark.usefixtures("followed")
def test_a_text_is_previewed_in_a_template_and_saved_with_it(client_as: ClientAs) -> None:
    client = client_as("editor")
    page = client.get(f"{TONE}/edit")
    assert "Saving makes a new version of 1 template, which 3 configurations take." in page.body
    form = page.form(f"{TONE}/edit")

    fragment = client.post(f"/_{TONE}/preview", {**form, "body": "Be warm.\n"})
    assert (
        "coaching_response, with its examples, against what is saved: 1 line added, 2 lines removed"
        in fragment.body
    )
    assert "Be warm." in client.post(f"{TONE}/edit", {**form, "body": "Be warm.\n"}).body
    broken = client.post(f"/_{TONE}/preview", {**form, "body": "Be {{ nobody }}.\n"})
    assert (
        "coaching_response, line 2: in shared/tone, line 1: the interaction has no parameter nobody"
        in broken.body
    )

    refused = client.post(f"{TONE}/versions", {**form, "body": "Be {{ nobody }}.\n", "reason": "Warmer"})
    assert refused.status == 422
    assert "This would break the template that follows it" in refused.body
    saved = client.post(f"{TONE}/versions", {**form, "body": "Be warm.\n", "reason": "Warmer"})
    assert (saved.status, saved.location) == (303, TONE)
    assert "Saved version 2, and with it coaching_response version 3." in client.get(TONE).body


@pytest.mark.usefixtures("followed")
def test_who_comes_second_sees_what_the_other_did_and_loses_nothing(client_as: ClientAs) -> None:
    client = client_as("editor")
    form = client.get(f"{TONE}/edit").form(f"{TONE}/edit")
    client.post(f"{TONE}/versions", {**form, "body": "Be warm.\n", "reason": "Warmer"})

    answer = client.post(f"{TONE}/versions", {**form, "body": "Be cool.\n", "reason": "Cooler"})

    assert answer.status == 409
    assert "saved version 2 while you were editing" in answer.body
    assert answer.form(f"{TONE}/edit")["body"] == "Be cool.\n"
    assert answer.form(f"{TONE}/edit")["base_version"] == "2"


@pytest.mark.usefixtures("followed")
def test_the_templates_pages_tell_of_the_snippets_in_them(client_as: ClientAs) -> None:
    client = client_as("editor")
    page = client.get(f"/production/templates/{COACHING}")
    assert "shared/tone version 1" in page.body
    for each in (page, client.get("/production/templates")):
        assert "finished prompt" not in each.body

    edit = f"/production/templates/{COACHING}/edit"
    form = client.get(edit).form(edit)
    shown = client.post(f"/_{edit.removesuffix('/edit')}/preview", form)
    assert "Be brief." in shown.body
    wrong = client.post(
        f"/_{edit.removesuffix('/edit')}/preview", {**form, "body": 'a\n{% include "shared/tune" %}'}
    )
    assert "line 2: there is no snippet shared/tune; did you mean 'shared/tone'?" in wrong.body


@pytest.mark.usefixtures("followed")
def test_before_publishing_it_is_said_what_a_snippet_changes(
    client_as: ClientAs, first_data: Session, editor: Actor
) -> None:
    publish_saved(first_data, "production")
    services.save_version(
        first_data,
        services.get_snippet(first_data, "tone"),
        body="Be warm.\n",
        base_version=1,
        reason="Warmer",
        actor=editor,
    )

    page = client_as("publisher").get("/production/unpublished")

    assert "shared/tone version 2 changes 1 template, 3 configurations." in page.body
    assert "Snippet shared/tone version 1 → version 2" in page.body


@pytest.mark.usefixtures("followed")
def test_versions_are_compared_and_an_unused_snippet_is_archived(client_as: ClientAs) -> None:
    client = client_as("editor")
    form = client.get(f"{TONE}/edit").form(f"{TONE}/edit")
    client.post(f"{TONE}/versions", {**form, "body": "Be warm.\n", "reason": "Warmer"})
    assert "1 line added, 2 lines removed" in client.get(f"{TONE}/compare").body
    assert "“Warmer”" in client.get(f"{TONE}/versions/2").body
    changes = client.get("/changes?object_kind=snippet&object_key=tone")
    told = next(words for words in changes.texts("a") if words.startswith("saved version 2 of snippet"))
    assert "Be warm." in client.get(changes.link(told)).body
    assert client.get(f"{TONE}/versions/9").status == 404

    assert "This snippet is in use" in client.get(f"{TONE}/archive").body
    refused = client.post(f"{TONE}/archive", {"reason": "Not wanted"})
    assert (refused.status, "coaching_response" in refused.body) == (422, True)

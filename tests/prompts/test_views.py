from collections.abc import Callable
from contextlib import ExitStack

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.prompts import editing, services
from controlplane.prompts.render_pool import WORKERS, RenderBusy, shared
from tests.page import Page, PageClient

CODE = "coaching_response"
HERE = "/production/templates"
BODY = "Answer {{ user_message }}\nafter {{ conversation_context }}\n"
NASTY = "<script>alert(1)</script></pre></textarea>{{ '<b>' }} \" ' hx-get=/x \u202e"

ClientAs = Callable[..., PageClient]


@pytest.fixture
def editor(client_as: ClientAs) -> PageClient:
    return client_as("editor")


def save(session: Session, body: str, actor: Actor, *, base: int = 1, reason: str = "Shorter") -> None:
    prompt = services.get_prompt(session, CODE)
    services.save_version(session, prompt, body=body, base_version=base, reason=reason, actor=actor)
    session.commit()


def edit_form(client: PageClient, code: str = CODE) -> dict[str, str]:
    return client.get(f"{HERE}/{code}/edit").form(f"{HERE}/{code}/edit")


def rendered(page: Page) -> str:
    return "".join("".join(each.itertext()) for each in page.by_id("preview-text").iter("pre"))


# The list


def test_the_list_shows_every_template_with_what_is_live(client_as: ClientAs) -> None:
    page = client_as("viewer").get(HERE)
    assert page.heading == "Templates"
    assert len(page.all("tbody")[0].findall("tr")) == 14
    assert page.link(CODE) == f"{HERE}/{CODE}"
    assert "New template" not in page.body


def test_the_list_can_be_filtered_by_words_of_the_text_and_by_interaction(
    first_data: Session, editor: PageClient, person: Callable[..., Actor]
) -> None:
    save(first_data, BODY + "Mention the lighthouse.\n", person("editor"))
    assert [words.split()[0] for words in rows(editor.get(f"{HERE}?q=LIGHTHOUSE"))] == [CODE]
    assert [words.split()[0] for words in rows(editor.get(f"{HERE}?interaction=KPI_ANALYSIS"))] == [
        "kpi_analysis"
    ]
    assert [words.split()[0] for words in rows(editor.get(f"{HERE}?status=differs"))] == [CODE]
    assert CODE not in " ".join(rows(editor.get(f"{HERE}?status=live")))


def test_filters_that_match_nothing_say_so_and_can_be_cleared(editor: PageClient) -> None:
    page = editor.get(f"{HERE}?q=%25zebra_")
    assert "No template matches" in page.body
    assert page.link("Clear the filters") == HERE


def rows(page: Page) -> list[str]:
    return [" ".join("".join(row.itertext()).split()) for row in page.by_id("results").iter("tr")][1:]


# One template


def test_a_template_page_shows_live_text_versions_and_uses(client_as: ClientAs) -> None:
    page = client_as("viewer").get(f"{HERE}/{CODE}")
    assert page.heading == CODE
    assert "Version 1, since" in page.body
    assert "COACHING_RESPONSE · premium" in page.body
    assert "Needs Editor. Ask:" in page.body
    assert page.link("v1") == f"{HERE}/{CODE}/versions/1"


def test_a_saved_version_shows_as_not_yet_live_with_its_difference(
    first_data: Session, client_as: ClientAs, person: Callable[..., Actor]
) -> None:
    save(first_data, BODY, person("editor", name="Ada"))
    page = client_as("viewer").get(f"{HERE}/{CODE}")
    assert "Saved, but not live here" in page.body
    assert "Version 2 against version 1, which is live: 2 lines added," in page.body
    assert "Answer {{ user_message }}" in page.body
    compared = client_as("viewer", name="Other").get(f"{HERE}/{CODE}/compare?from=1&to=2")
    assert compared.heading == f"{CODE} · version 1 to 2"
    version = client_as("viewer", name="Third").get(f"{HERE}/{CODE}/versions/2")
    assert "“Shorter”" in version.body
    assert "Saved by Ada" in version.body


@pytest.mark.parametrize(
    "path", ["/no_such", "/coaching_response/versions/9", "/coaching_response/compare?from=1&to=7"]
)
def test_what_does_not_exist_is_a_404_page(client_as: ClientAs, path: str) -> None:
    assert client_as("viewer").get(HERE + path).status == 404


def test_a_viewer_may_not_open_the_editor(client_as: ClientAs) -> None:
    viewer = client_as("viewer")
    assert viewer.get(f"{HERE}/{CODE}/edit").status == 403
    assert viewer.post(f"{HERE}/{CODE}/versions", {"body": BODY}).status == 403
    assert viewer.post(f"/_{HERE}/{CODE}/preview", {"body": BODY}).status == 403


# The editor


def test_the_editor_opens_with_the_saved_text_the_examples_and_a_preview(editor: PageClient) -> None:
    page = editor.get(f"{HERE}/{CODE}/edit")
    form = page.form(f"{HERE}/{CODE}/edit")
    assert "{{ user_message }}" in form["body"]
    assert form["base_version"] == "1"
    assert form["value-user_message"] == "I am not sure our values are real."
    assert "I am not sure our values are real." in rendered(page)


def test_the_live_preview_answers_with_the_rendered_text(editor: PageClient) -> None:
    answer = editor.post(
        f"/_{HERE}/{CODE}/preview",
        {
            "body": "Hello {{ user_message }}",
            "value-user_message": "Ana & Ben",
            "value-conversation_context": "x",
        },
        htmx=True,
    )
    assert answer.is_fragment
    assert answer.headers["Cache-Control"] == "no-store"
    assert rendered(answer).strip() == "Hello Ana & Ben"
    status = answer.by_id("preview-status")
    assert status.get("data-state") == "good"
    assert "conversation_context, topic, phase" in " ".join("".join(status.itertext()).split())


def test_the_preview_of_a_wrong_text_says_where_and_leaves_the_last_good_one(editor: PageClient) -> None:
    answer = editor.post(
        f"/_{HERE}/{CODE}/preview", {"body": "One\n{{ user_mesage }}", "value-user_message": "x"}, htmx=True
    )
    status = answer.by_id("preview-status")
    assert status.get("data-state") == "problem"
    assert answer.by_id("preview-state").get("data-state") == "problem"
    assert answer.all("a", data_line="2", data_column="4")
    assert "did you mean 'user_message'?" in " ".join("".join(status.itertext()).split())
    assert 'id="preview-text"' not in answer.text


def test_a_value_that_cannot_be_read_is_said_at_its_name(editor: PageClient) -> None:
    answer = editor.post(
        f"/_{HERE}/alignment_explanation/preview",
        {
            "body": "{{ goal }}",
            "value-goal": "x",
            "value-business_foundation": "{",
            "value-alignment_score": "many",
        },
        htmx=True,
    )
    words = " ".join("".join(answer.by_id("preview-status").itertext()).split())
    assert "business_foundation: This is not JSON: line 1, column 2" in words
    assert "alignment_score: Enter a number" in words
    assert 'id="preview-text"' not in answer.text


def test_without_script_the_preview_button_shows_the_same_fragment(editor: PageClient) -> None:
    sent = edit_form(editor) | {"body": "Hello {{ user_message }}", "value-user_message": "Ana"}
    page = editor.post(f"{HERE}/{CODE}/edit", sent)
    assert page.status == 200
    assert rendered(page).strip() == "Hello Ana"
    assert page.form(f"{HERE}/{CODE}/edit")["body"] == "Hello {{ user_message }}"


def test_saving_goes_to_the_template_and_says_that_it_is_not_live(
    first_data: Session, editor: PageClient
) -> None:
    sent = edit_form(editor) | {"body": BODY, "reason": "Shorter answers"}
    page = editor.follow(editor.post(f"{HERE}/{CODE}/versions", sent))
    assert "Saved version 2. It is not live until it is published." in page.body
    first_data.expire_all()
    saved = services.latest_version(first_data, CODE)
    assert saved is not None
    assert (saved.number, saved.body, saved.reason) == (2, BODY, "Shorter answers")


def test_a_refused_version_comes_back_as_typed_with_the_words_beside_the_field(editor: PageClient) -> None:
    sent = edit_form(editor) | {"body": "\nOne\n{% for %}", "value-topic": "typed", "reason": "Try"}
    page = editor.post(f"{HERE}/{CODE}/versions", sent)
    assert page.status == 422
    assert page.texts("title")[0].startswith("Error: ")
    assert (page.error_of("body") or "").startswith("Line 3, column 8: ")
    again = page.form(f"{HERE}/{CODE}/edit")
    assert (again["body"], again["value-topic"], again["reason"]) == ("\nOne\n{% for %}", "typed", "Try")


def test_a_version_needs_a_reason(editor: PageClient) -> None:
    page = editor.post(f"{HERE}/{CODE}/versions", edit_form(editor) | {"body": BODY})
    assert page.status == 422
    assert page.error_of("reason") == "This is needed."


def test_two_people_who_changed_different_lines_get_both_changes_in_one_text(
    first_data: Session, editor: PageClient, person: Callable[..., Actor]
) -> None:
    text = "One\nTwo\nThree {{ user_message }}\nFour\nFive {{ conversation_context }}\n"
    save(first_data, text, person("editor", name="Ada"))
    sent = edit_form(editor) | {"body": text.replace("One", "Mine"), "reason": "Mine"}
    save(first_data, text.replace("Four", "Theirs"), person("editor", name="Ben"), base=2, reason="Was first")
    page = editor.post(f"{HERE}/{CODE}/versions", sent)
    assert page.status == 409
    assert "Ben saved version 3 while you were editing" in page.body
    assert "“Was first”" in page.body
    again = page.form(f"{HERE}/{CODE}/edit")
    assert again["body"] == text.replace("One", "Mine").replace("Four", "Theirs")
    assert again["base_version"] == "3"
    editor.follow(editor.post(f"{HERE}/{CODE}/versions", again))
    assert services.get_version(first_data, CODE, 4).body == again["body"]


def test_two_people_who_changed_the_same_line_keep_their_own_text_and_see_the_other(
    first_data: Session, editor: PageClient, person: Callable[..., Actor]
) -> None:
    sent = edit_form(editor) | {"body": BODY, "reason": "Mine"}
    save(first_data, "Theirs {{ user_message }} {{ conversation_context }}", person("editor", name="Ben"))
    page = editor.post(f"{HERE}/{CODE}/versions", sent)
    assert page.status == 409
    assert page.form(f"{HERE}/{CODE}/edit")["body"] == BODY
    assert "Theirs {{ user_message }}" in page.body
    assert len(services.get_prompt(first_data, CODE).versions) == 2


def test_an_older_text_can_be_the_start_of_a_new_version(
    first_data: Session, editor: PageClient, person: Callable[..., Actor]
) -> None:
    first = services.get_version(first_data, CODE, 1).body
    save(first_data, BODY, person("editor"))
    form = editor.get(f"{HERE}/{CODE}/edit?version=1").form(f"{HERE}/{CODE}/edit")
    assert (form["body"], form["base_version"]) == (first, "2")


def test_while_the_workers_are_busy_nothing_typed_is_lost(
    editor: PageClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = edit_form(editor) | {"body": BODY, "reason": "Shorter"}
    pool = shared()
    monkeypatch.setattr(pool, "_busy", 99)
    monkeypatch.setattr(pool, "_most_waiting", 0)
    answer = editor.post(f"/_{HERE}/{CODE}/preview", sent, htmx=True)
    assert (answer.status, answer.headers["Retry-After"]) == (429, str(RenderBusy.retry_after))
    page = editor.post(f"{HERE}/{CODE}/versions", sent)
    assert page.status == 429
    assert page.form(f"{HERE}/{CODE}/edit")["body"] == BODY
    assert "What you typed is below" in page.body


def test_while_every_worker_is_taken_other_pages_are_answered_and_previews_told_when_to_come_back(
    editor: PageClient,
) -> None:
    sent = edit_form(editor) | {"body": BODY}
    pool = shared()
    with ExitStack() as places:
        for _ in range(WORKERS):
            places.enter_context(pool._turn(10))
        assert editor.get(HERE).status == 200
        assert editor.get(f"{HERE}/{CODE}").status == 200
        answer = editor.post(f"/_{HERE}/{CODE}/preview", sent, htmx=True)
        assert (answer.status, answer.headers["Retry-After"]) == (429, str(RenderBusy.retry_after))
    assert editor.post(f"/_{HERE}/{CODE}/preview", sent, htmx=True).status == 200


# A new template


def test_a_new_template_begins_with_every_parameter_in_its_place_and_renders(
    first_data: Session, editor: PageClient
) -> None:
    page = editor.get(f"{HERE}/new?interaction=KPI_ANALYSIS")
    assert page.by_id("preview-status").get("data-state") == "good"
    form = page.form(f"{HERE}/new/preview") | {"code": "kpi_short", "reason": "A shorter one"}
    shown = editor.follow(editor.post(f"{HERE}/new", form))
    assert shown.heading == "kpi_short"
    assert "Nothing of this template is live here" in shown.body


def test_a_skeleton_renders_with_and_without_optional_parameters_for_every_interaction(
    first_data: Session,
) -> None:
    for prompt in services.list_prompts(first_data):
        declared = services.declared_parameters(first_data, prompt.interaction)
        assert shared().check(editing.skeleton(declared), declared) is None


def test_a_new_template_asks_for_its_interaction_first(editor: PageClient) -> None:
    page = editor.get(f"{HERE}/new")
    assert "COACHING_RESPONSE" in page.texts("option")


def test_a_refused_new_template_comes_back_as_typed(editor: PageClient) -> None:
    form = editor.get(f"{HERE}/new?interaction=KPI_ANALYSIS").form(f"{HERE}/new/preview")
    page = editor.post(f"{HERE}/new", form | {"code": CODE, "reason": "Try", "body": form["body"] + "more"})
    assert page.status == 422
    assert page.error_of("code") == "There is a template coaching_response already."
    assert page.form(f"{HERE}/new/preview")["body"].endswith("more")
    previewed = editor.post(f"{HERE}/new/preview", form | {"body": "Hello"})
    assert rendered(previewed).strip() == "Hello"


# Archiving


def test_a_template_in_use_says_where_instead_of_asking_why(editor: PageClient) -> None:
    page = editor.get(f"{HERE}/{CODE}/archive")
    assert "COACHING_RESPONSE · premium, live in production" in page.body
    assert editor.post(f"{HERE}/{CODE}/archive", {"reason": "Old one"}).status == 422


def test_an_unused_template_can_be_archived_and_restored(first_data: Session, editor: PageClient) -> None:
    form = editor.get(f"{HERE}/new?interaction=KPI_ANALYSIS").form(f"{HERE}/new/preview")
    editor.follow(editor.post(f"{HERE}/new", form | {"code": "spare", "reason": "A try"}))
    page = editor.follow(editor.post(f"{HERE}/spare/archive", {"reason": "Not needed"}))
    assert "Archived" in page.texts("span", class_="chip")
    assert "spare" in editor.get(f"{HERE}?status=archived").body
    assert "spare" not in " ".join(rows(editor.get(HERE)))
    editor.follow(editor.post(f"{HERE}/spare/archive", {"reason": "Needed after all"}))
    assert "spare" in " ".join(rows(editor.get(HERE)))


# Hostile texts


def test_markup_in_a_text_stays_text_on_every_page(
    first_data: Session, editor: PageClient, person: Callable[..., Actor]
) -> None:
    body = NASTY + " {{ user_message }} {{ conversation_context }}"
    save(first_data, body, person("editor", name="<b>Eve</b>"), reason="</td><script>alert(2)</script>")
    for path in (
        "",
        f"/{CODE}",
        f"/{CODE}/versions/2",
        f"/{CODE}/compare",
        f"/{CODE}/edit",
        f"/{CODE}/archive",
    ):
        page = editor.get(HERE + path)  # the client parses it strictly and refuses inline scripts
        assert "<script>alert" not in page.text
        assert "<b>Eve" not in page.text
    assert edit_form(editor)["body"] == body
    answer = editor.post(
        f"/_{HERE}/{CODE}/preview",
        {"body": body, "value-user_message": NASTY, "value-conversation_context": "x"},
        htmx=True,
    )
    assert "<script>alert" not in answer.text
    assert "<script>alert(1)</script></pre>" in rendered(answer)


def test_characters_that_cannot_be_seen_are_named_in_the_preview(editor: PageClient) -> None:
    answer = editor.post(
        f"/_{HERE}/{CODE}/preview",
        {"body": "a\u00a0b\u200bc", "value-user_message": "x", "value-conversation_context": "x"},
        htmx=True,
    )
    marks = [each.get("title") for each in answer.all("span", class_="unseen")]
    assert marks == ["no-break space", "zero width space"]

"""The editor's page: sample sets, values as JSON, all samples at once, white space, two texts beside one another."""

import datetime as dt
import json
from collections.abc import Callable

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.accounts.models import BrowserSession
from controlplane.db import now
from controlplane.prompts import presence, services
from controlplane.prompts.models import PromptPresence
from controlplane.prompts.preview import Run, runs
from controlplane.prompts.render_pool import shared
from controlplane.prompts.trying import trial
from controlplane.samples import services as samples
from tests.page import Page, PageClient, words

CODE = "kpi_analysis"
HERE = f"/production/templates/{CODE}"
EDIT = f"{HERE}/edit"
INTERACTION = "KPI_ANALYSIS"
SIX = "six-indicators-one-without-a-target"


@pytest.fixture
def editor(client_as: Callable[..., PageClient]) -> PageClient:
    return client_as("editor")


@pytest.fixture
def form(editor: PageClient) -> dict[str, str]:
    found: dict[str, str] = editor.get(EDIT).form(EDIT)
    return found


def shown(page: Page) -> str:
    return "".join("".join(each.itertext()) for each in page.by_id("preview-text").iter("pre"))


def test_a_sample_set_fills_the_values_and_leaves_the_text(editor: PageClient, form: dict[str, str]) -> None:
    assert form["sample"] == "example"
    sent = form | {"body": "{{ current_kpis|length }}", "sample": SIX, "use": "sample"}
    page = editor.post(EDIT, sent)
    assert page.status == 200
    after = page.form(EDIT)
    assert (after["body"], after["sample"]) == (sent["body"], SIX)
    assert len(json.loads(after["value-current_kpis"])) == 6
    assert shown(page) == "6"


def test_values_are_previewed_as_json_and_told_of_key_by_key(
    editor: PageClient, form: dict[str, str]
) -> None:
    page = editor.post(EDIT, form | {"body": "{{ goals|length }}", "switch": "json"})
    sent = page.form(EDIT)
    assert json.loads(sent["value-JSON"])["goals"] == ["Grow 20 % a year"]
    assert shown(page) == "1"
    page = editor.post(EDIT, sent | {"value-JSON": '{"current_kpis": [], "goals": ["a\\nb", "c"]}'})
    assert shown(page) == "2"
    answer = editor.post(
        f"/_{HERE}/preview", sent | {"value-JSON": '{"current_kpis": [], "goals": 2}'}, htmx=True
    )
    assert "goals: A list is needed, not a number." in words(answer.by_id("preview-status"))


def test_all_samples_are_shown_with_what_fails_and_what_must_not(
    editor: PageClient, form: dict[str, str]
) -> None:
    body = "{% for kpi in current_kpis %}{{ kpi.target }} {% endfor %}"
    page = editor.post(EDIT, form | {"body": body, "all": "1"})
    assert page.form(EDIT)["body"] == body
    table = page.by_id("all-samples")
    assert "1 of 3 pass; of those that must, 2 fail" in words(table)  # a target is optional
    rows = {words(row).partition(" ")[0]: words(row) for row in table.iter("tr")}
    assert "Passes" in rows["Example"]
    assert "Must pass Fails Line 1: there is no field 'target'" in rows["Six"]


def test_of_all_samples_one_failure_hides_no_other_and_a_broken_text_fails_each(
    first_data: Session, editor: PageClient
) -> None:
    known = samples.list_samples(first_data, INTERACTION)
    declared = samples.declared_parameters(first_data, INTERACTION)
    found = trial(shared(), "{{ current_kpis[1].name }}", declared, known)
    assert [each.passes for each in found.tried] == [False, False, True]
    assert found.summary == "1 of 3 pass; of those that must, 1 fails"
    broken = trial(shared(), "{{", declared, known)
    assert (broken.tone, [each.passes for each in broken.tried]) == ("danger", [False] * 3)
    assert trial(shared(), "Fine", declared, known).summary == "All pass"


def test_the_values_are_kept_under_a_name_and_the_text_as_a_draft(
    editor: PageClient, form: dict[str, str], first_data: Session
) -> None:
    sent = form | {"body": "Half done {{", "value-goals": "One\r\nTwo", "sample_name": "Two goals"}
    page = editor.follow(editor.post(f"{HERE}/samples", sent))
    after = page.form(EDIT)
    assert (after["body"], after["sample"], after["value-goals"]) == ("Half done {{", "two-goals", "One\nTwo")
    assert "This is your draft" in page.body
    assert samples.get_sample(first_data, INTERACTION, "two-goals").values["goals"] == ["One", "Two"]
    again = editor.post(f"{HERE}/samples", sent)
    assert again.status == 422
    assert "There is a sample set “Two goals” already" in (again.error_of("sample_name") or "")
    assert again.form(EDIT)["body"] == "Half done {{"
    wrong = editor.post(f"{HERE}/samples", sent | {"sample_name": "", "value-current_kpis": "["})
    assert wrong.error_of("sample_name") == "This is needed."
    assert "This is not JSON" in (wrong.error_of("value-current_kpis") or "")


def test_an_untouched_text_makes_no_draft_when_its_values_are_kept(
    editor: PageClient, form: dict[str, str]
) -> None:
    page = editor.follow(editor.post(f"{HERE}/samples", form | {"sample_name": "As they are"}))
    assert "draft" not in words(page.by_id("main")).replace("Save draft", "").replace("No draft", "").lower()


def test_white_space_is_shown_where_asked_for_and_what_cannot_be_seen_always() -> None:
    text = "a b\t\u00a0c\n\u200b"
    assert list(runs(text)) == [
        Run("a b\t"), Run("\u00a0", "no-break space"), Run("c\n"), Run("\u200b", "zero width space"),
    ]  # fmt: skip
    assert [run.white for run in runs(text, spaces=True)] == [None, "ws", None, "wt", None, None, "wn", None]
    for spaces in (False, True):
        assert "".join(run.text for run in runs(text, spaces=spaces)) == text


def test_the_tick_for_white_space_is_kept_with_the_form(editor: PageClient, form: dict[str, str]) -> None:
    page = editor.post(EDIT, form | {"body": "a b", "spaces": "1"})
    assert page.form(EDIT)["spaces"] == "1"
    assert len(page.all("i", class_="ws")) == 1


def test_two_versions_stand_beside_one_another_with_the_same_values(
    client_as: Callable[..., PageClient], first_data: Session, person: Callable[..., Actor]
) -> None:
    viewer = client_as("viewer")
    prompt = services.get_prompt(first_data, CODE)
    for number, body in enumerate(
        ("You {{ current_kpis[0].name }}\n", "We {{ current_kpis[0].name }}\n"), start=1
    ):
        services.save_version(
            first_data, prompt, body=body, base_version=number, reason="Try", actor=person("editor")
        )
    first_data.commit()
    page = viewer.get(f"{HERE}/side-by-side?from={CODE}@2&with={CODE}@3&sample={SIX}")
    assert "1 line added, 1 line removed" in words(page.by_id("results")).lower()
    assert [words(each) for each in page.all("mark")] == ["You", "We"]
    chosen = viewer.get(f"{HERE}/side-by-side?with=nothing&sample=nothing")  # what is not there is chosen
    assert f"{CODE}, version 2 and {CODE}, version 3" in words(chosen.by_id("results"))
    samples.create_sample(
        first_data, INTERACTION, name="None", values={"current_kpis": []}, actor=person("editor")
    )
    first_data.commit()
    failing = viewer.get(f"{HERE}/side-by-side?from={CODE}@2&with={CODE}@1&sample=none")
    assert "cannot be rendered with “None”" in failing.body


def test_who_else_has_it_open_is_said_for_as_long_as_they_look(
    client_as: Callable[..., PageClient], first_data: Session
) -> None:
    others = f"/_{HERE}/others"
    ada, ben = client_as("editor", name="Ada"), client_as("editor", name="Ben")
    assert words(ada.post(others, htmx=True).tree) == ""
    assert "Ada has this open too, since" in words(ben.post(others, htmx=True).tree)
    assert "Ben has this open too, since" in words(ada.post(others, htmx=True).tree)
    first_data.execute(update(PromptPresence).values(seen_at=PromptPresence.seen_at - 2 * presence.GONE))
    first_data.commit()
    assert words(ben.post(others, htmx=True).tree) == ""


def test_asking_who_else_is_here_keeps_nobody_signed_in(editor: PageClient, first_data: Session) -> None:
    first_data.execute(update(BrowserSession).values(seen_at=now() - dt.timedelta(minutes=20)))
    first_data.commit()
    assert editor.post(f"/_{HERE}/others", htmx=True).status == 200
    first_data.expire_all()
    assert first_data.scalars(select(BrowserSession.seen_at)).one() < now() - dt.timedelta(minutes=19)

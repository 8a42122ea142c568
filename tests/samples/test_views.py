import json
from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.samples import services
from tests.page import PageClient

HERE = "/interactions/KPI_ANALYSIS/samples"
NEW = f"{HERE}/new"

ClientAs = Callable[[Role | str], PageClient]


@pytest.fixture
def editor(client_as: ClientAs) -> PageClient:
    return client_as("editor")


def test_the_interaction_s_page_names_its_samples_and_everybody_may_read_them(client_as: ClientAs) -> None:
    viewer = client_as("viewer")
    page = viewer.get("/interactions/KPI_ANALYSIS")
    assert "Six indicators, one without a target" in page.body
    assert "Needs Editor" in viewer.get(HERE).body
    assert '"Net promoter score"' in viewer.get(f"{HERE}/six-indicators-one-without-a-target").body
    assert "declared examples" in viewer.get(f"{HERE}/example").body
    assert viewer.get(f"{HERE}/nothing").status == 404


def test_a_sample_is_made_from_the_fields_changed_made_the_default_and_removed(
    editor: PageClient, first_data: Session
) -> None:
    typed = {
        "name": "Two goals",
        "value-goals": "Grow\r\nWin back",
        "value-strategies": "",
        "value-EMPTY-strategies": "true",
    }
    page = editor.follow(editor.submit(editor.get(NEW), NEW, typed))
    assert page.heading == "Two goals"
    values = services.get_sample(first_data, "KPI_ANALYSIS", "two-goals").values
    assert (values["goals"], values["strategies"]) == (["Grow", "Win back"], [])
    edit = f"{HERE}/two-goals/edit"
    form = editor.get(edit).form(edit)
    assert form["value-EMPTY-strategies"] == "true"
    page = editor.follow(editor.post(edit, {**form, "must_pass": "true"}))
    assert "Must pass" in page.body
    page = editor.follow(editor.post(f"{HERE}/two-goals/default"))
    assert "“Two goals” is the default now" in page.body
    removal = editor.post(f"{HERE}/two-goals/remove")
    assert removal.status == 422
    assert "Make another one the default first" in removal.body
    page = editor.follow(editor.post(f"{HERE}/only-what-is-required/default"))
    page = editor.follow(editor.post(f"{HERE}/two-goals/remove"))
    assert "Two goals" not in " ".join(page.texts("th"))


def test_json_and_fields_are_switched_without_losing_anything(editor: PageClient) -> None:
    form = editor.get(NEW).form(NEW)
    as_json = editor.post(NEW, {**form, "name": "Kept", "switch": "json"})
    assert as_json.status == 200
    sent = as_json.form(NEW)
    assert (sent["name"], sent["value-AS"]) == ("Kept", "json")
    assert json.loads(sent["value-JSON"])["current_kpis"] == json.loads(form["value-current_kpis"])
    back = editor.post(NEW, {**sent, "switch": "form"}).form(NEW)
    assert back == {**form, "name": "Kept"}
    several = json.dumps({"current_kpis": [], "goals": ["two\nlines"]})
    stays = editor.post(NEW, {**sent, "value-JSON": several, "switch": "form"})
    assert "cannot be typed into a field" in (stays.error_of("value-JSON") or "")
    assert editor.follow(editor.post(NEW, {**sent, "value-JSON": several})).heading == "Kept"


def test_what_is_wrong_stands_at_its_value_and_nothing_typed_is_lost(editor: PageClient) -> None:
    form = editor.get(NEW).form(NEW)
    page = editor.post(NEW, {**form, "name": "x", "value-current_kpis": "[", "value-goals": "Grow"})
    assert page.status == 422
    assert "This is not JSON" in (page.error_of("value-current_kpis") or "")
    assert page.form(NEW)["value-goals"] == "Grow"
    sent = {"name": "x", "revision": "0", "value-AS": "json", "value-JSON": '{"goals": 7, "gaols": []}'}
    page = editor.post(NEW, sent)
    assert page.status == 422
    assert "goals A list is needed, not a number." in page.body
    assert "gaols The interaction declares no gaols: did you mean goals?" in page.body
    assert page.form(NEW)["value-JSON"] == sent["value-JSON"]


def test_who_saves_second_sees_what_the_other_saved(editor: PageClient) -> None:
    edit = f"{HERE}/only-what-is-required/edit"
    form = editor.get(edit).form(edit)
    editor.follow(editor.post(edit, {**form, "value-goals": "Theirs"}))
    page = editor.post(edit, {**form, "value-goals": "Mine"})
    assert page.status == 409
    assert "Theirs" in page.texts("pre")[0]
    assert page.form(edit)["value-goals"] == "Mine"
    editor.follow(editor.submit(page, edit))

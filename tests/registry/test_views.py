from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.registry import services
from controlplane.registry.models import Interaction, Model, Tier
from tests.page import PageClient

ClientAs = Callable[[Role | str], PageClient]
PAGES = ["/interactions", "/interactions/KPI_ANALYSIS", "/models", "/models/GPT_5", "/tiers", "/environments"]
FORMS = [f"/{kind}/new" for kind in ("interactions", "models", "tiers", "environments")]


@pytest.mark.parametrize("path", PAGES)
def test_everybody_who_signed_in_may_read_the_registry(client_as: ClientAs, path: str) -> None:
    page = client_as("viewer").get(path)
    assert page.status == 200
    assert "Needs Admin" in page.body or path == "/models/GPT_5"


@pytest.mark.parametrize("path", FORMS)
def test_the_forms_are_for_admins_alone(client_as: ClientAs, path: str) -> None:
    assert client_as("publisher").get(path).status == 403
    assert client_as("admin").get(path).status == 200


@pytest.mark.parametrize(
    "path", ["/models/GPT_5/edit", "/interactions/KPI_ANALYSIS/edit", "/tiers/free/edit"]
)
def test_a_form_that_is_sent_as_it_was_shown_changes_nothing(client_as: ClientAs, path: str) -> None:
    client = client_as("admin")
    answer = client.submit(client.get(path), path)
    assert answer.status == 422
    assert "Nothing was changed" in answer.body


def test_a_model_is_changed_through_its_form(client_as: ClientAs, first_data: Session) -> None:
    client = client_as("admin")
    path = "/models/GPT_5/edit"
    page = client.follow(client.submit(client.get(path), path, {"input_price_per_million": "1.1"}))
    assert "$1.10" in page.body
    assert "live in an environment when it is published" in page.text
    first_data.expire_all()
    assert services.get(first_data, Model, "GPT_5").active


def test_an_unticked_box_makes_a_model_inactive(client_as: ClientAs, first_data: Session) -> None:
    client = client_as("admin")
    sent = client.get("/models/GPT_5/edit").form("/models/GPT_5/edit")
    del sent["active"]
    assert client.post("/models/GPT_5/edit", sent).status == 303
    first_data.expire_all()
    assert not services.get(first_data, Model, "GPT_5").active


def test_an_interaction_gains_and_loses_parameters_without_script(
    client_as: ClientAs, first_data: Session
) -> None:
    client = client_as("admin")
    path = "/interactions/ONBOARDING_SUGGESTIONS/edit"
    added = {
        "parameters.2.name": "language",
        "parameters.2.type": "string",
        "parameters.2.description": "Language to answer in",
        "parameters.2.example": "pt",
    }
    client.follow(client.submit(client.get(path), path, added))
    first_data.expire_all()
    assert names(first_data) == ["user_input", "business_context", "language"]
    client.follow(client.submit(client.get(path), path, {"parameters.2.remove": "true"}))
    first_data.expire_all()
    assert names(first_data) == ["user_input", "business_context"]


def test_fields_of_a_list_are_declared_in_the_form_and_a_wrong_line_comes_back_as_typed(
    client_as: ClientAs, first_data: Session
) -> None:
    client, path = client_as("admin"), "/interactions/KPI_ANALYSIS/edit"
    typed = "name: text\ntarget: text, optional\ncurrent: percentage"
    page = client.submit(client.get(path), path, {"parameters.0.structure": typed})
    assert page.status == 422
    assert "Line 3: “percentage” is no type" in (page.error_of("parameters.0.structure") or "")
    assert page.form(path)["parameters.0.structure"] == typed
    shown = client.follow(
        client.submit(page, path, {"parameters.0.structure": typed.replace("percentage", "text")})
    )
    assert "target: text, optional" in shown.body
    first_data.expire_all()
    fields = services.get(first_data, Interaction, "KPI_ANALYSIS").parameters[0]["items"]["fields"]
    assert [each["name"] for each in fields] == ["name", "target", "current"]


def test_asking_for_more_rows_keeps_what_was_typed(client_as: ClientAs) -> None:
    client = client_as("admin")
    page = client.submit(
        client.get("/interactions/new"),
        "/interactions/new",
        {"code": "NEW_ONE", "parameters.0.name": "goal", "parameters.0.example": "x", "more": "1"},
    )
    assert page.status == 200
    form = page.form("/interactions/new")
    assert (form["code"], form["parameters.0.name"]) == ("NEW_ONE", "goal")
    assert "parameters.3.name" in form


def test_a_refused_form_comes_back_as_typed_with_the_words_at_the_field(client_as: ClientAs) -> None:
    page = client_as("admin").post("/tiers/new", {"code": "Nope", "name": "Nope <b>", "rank": "7"})
    assert page.status == 422
    assert page.form("/tiers/new") == {"code": "Nope", "name": "Nope <b>", "rank": "7"}
    assert "small letters" in (page.error_of("code") or "")


def test_the_second_editor_sees_what_the_first_saved_beside_their_own_text(
    client_as: ClientAs, first_data: Session
) -> None:
    client = client_as("admin")
    opened = client.get("/tiers/premium/edit")
    client.post("/tiers/premium/edit", {**opened.form("/tiers/premium/edit"), "name": "Plus"})
    page = client.submit(opened, "/tiers/premium/edit", {"name": "Gold"})
    assert page.status == 409
    assert "Plus" in page.body
    assert page.form("/tiers/premium/edit")["name"] == "Gold"
    assert client.submit(page, "/tiers/premium/edit").status == 303


def test_archiving_what_is_in_use_lists_where_with_links(client_as: ClientAs) -> None:
    page = client_as("admin").get("/models/CLAUDE_3_HAIKU/archive")
    assert "configuration COACHING_RESPONSE · basic" in page.body
    assert page.link("configuration COACHING_RESPONSE · basic (live in production)").startswith(
        "/production/"
    )


def test_a_name_is_shown_as_text_wherever_it_appears(client_as: ClientAs, first_data: Session) -> None:
    client = client_as("admin")
    hostile = "<script>alert(1)</script>"
    client.post("/tiers/new", {"code": "x", "name": hostile, "rank": "9"})
    for path in ("/tiers", "/changes", "/tiers/x/edit"):
        assert hostile not in client.get(path).text


def test_an_address_in_small_letters_leads_to_the_code(client_as: ClientAs) -> None:
    page = client_as("viewer").get("/models/gpt_5")
    assert (page.status, page.location) == (302, "/models/GPT_5")
    assert client_as("editor").get("/models/gpt_99").status == 404


def test_a_tier_that_is_archived_can_be_shown_and_brought_back(
    client_as: ClientAs, first_data: Session
) -> None:
    client = client_as("admin")
    client.post("/tiers/enterprise/archive", {"reason": "Not sold any more"})
    client.get("/tiers")  # takes the message away that names it
    assert "enterprise" not in client.get("/tiers").body
    assert "enterprise" in client.get("/tiers?archived=1").body
    client.submit(
        client.get("/tiers/enterprise/archive"), "/tiers/enterprise/archive", {"reason": "Sold again"}
    )
    first_data.expire_all()
    assert services.get(first_data, Tier, "enterprise").archived_at is None


def names(session: Session) -> list[str]:
    row = services.get(session, Interaction, "ONBOARDING_SUGGESTIONS")
    return [parameter["name"] for parameter in row.parameters]

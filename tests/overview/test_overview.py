from collections.abc import Callable

from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.configurations import services as configurations
from controlplane.registry import services as registry
from controlplane.registry.inputs import EnvironmentInput
from controlplane.releases import services as releases
from controlplane.releases.saved import live_entries, saved_entries
from tests.audit.events import told
from tests.configurations.values import premium, save, values
from tests.page import Page, PageClient, words
from tests.proposals.stage import make_submitted, rule

ActorAs = Callable[[Role | str], Actor]
ClientAs = Callable[[Role | str], PageClient]

OVERVIEW = "/production/"


def row_of(page: Page, interaction: str) -> list[str]:
    row = next(row for row in page.by_id("coverage").iter("tr") if words(row).startswith(interaction))
    return [words(cell) for cell in row.iter("td")]


def test_the_bare_address_leads_to_the_environment_last_looked_at(client_as: ClientAs) -> None:
    client = client_as("viewer")
    client.get("/staging/configurations")
    assert client.get("/").location == "/staging/"
    client.get(OVERVIEW)
    assert client.get("/").location == OVERVIEW


def test_the_grid_shows_who_wins_each_cell_and_what_is_inherited(client_as: ClientAs) -> None:
    page = client_as("viewer").get(OVERVIEW)
    assert page.heading == "Overview"
    assert row_of(page, "COACHING_RESPONSE") == [
        "CLAUDE_3_SONNET",
        "CLAUDE_3_SONNETdefault",
        "CLAUDE_3_HAIKU",
        "CLAUDE_3_5_SONNET",
        "CLAUDE_3_SONNETdefault",
    ]
    assert "70 of 70" in page.body
    assert "16 with a configuration of their own" in page.body


def test_what_is_saved_but_not_live_is_counted_and_named(
    first_data: Session, client_as: ClientAs, actor_as: ActorAs
) -> None:
    save(first_data, actor_as("editor"))
    first_data.commit()
    page = client_as("viewer").get(OVERVIEW)
    assert "COACHING_RESPONSE · premium: " in page.body
    assert page.link("Review and publish") == "/production/unpublished"
    assert "newer version saved" in row_of(page, "COACHING_RESPONSE")[3]
    assert "saved version 2 of COACHING_RESPONSE · premium" in page.body


def test_a_rollout_is_shown_with_its_share(
    first_data: Session, client_as: ClientAs, actor_as: ActorAs
) -> None:
    save(first_data, actor_as("editor"))
    key = "configuration/COACHING_RESPONSE/premium/*"
    live = live_entries(first_data, "production")[key]
    saved = saved_entries(first_data, "production")[0][key]
    old, new = (
        {**live["variants"][0], "ranges": [[0, 87_500]]},
        {**saved["variants"][0], "ranges": [[100_000, 87_500]]},
    )
    releases.publish_entries(
        first_data,
        "production",
        {key: {**live, "variants": [old, new]}},
        reason="as planned",
        actor=actor_as("publisher"),
        action="rollout.started",
        sentence="began",
        source_name="rollout",
    )
    first_data.commit()
    page = client_as("viewer").get(OVERVIEW)
    assert "Version 2 for 12.5 %, version 1 for the rest." in page.body
    assert row_of(page, "COACHING_RESPONSE")[3] == "CLAUDE_3_5_SONNET12.5 % on CLAUDE_3_HAIKU"


def test_an_archived_default_leaves_cells_without_an_answer(
    first_data: Session, client_as: ClientAs, actor_as: ActorAs
) -> None:
    default = configurations.get_configuration(first_data, "KPI_ANALYSIS")
    configurations.archive_configuration(first_data, default, reason="not needed", actor=actor_as("editor"))
    saved, _ = saved_entries(first_data, "production")
    releases.publish(
        first_data,
        "production",
        source=saved,
        keys={"configuration/KPI_ANALYSIS/default/*"},
        reason="as planned",
        actor=actor_as("publisher"),
        source_name="saved",
    )
    first_data.commit()
    page = client_as("editor").get(OVERVIEW)
    assert row_of(page, "KPI_ANALYSIS") == ["none"] * 5
    assert "65 of 70" in page.body
    assert any("new?interaction=KPI_ANALYSIS&tier=free" in (each.get("href") or "") for each in page.all("a"))


def test_an_environment_without_a_release_says_so(
    first_data: Session, client_as: ClientAs, actor_as: ActorAs
) -> None:
    values_of_it = EnvironmentInput(code="fresh", name="Fresh", protected=False, position=9)
    registry.create_environment(first_data, values_of_it, actor=actor_as("admin"))
    first_data.commit()
    client = client_as("viewer")
    page = client.get("/fresh/")
    assert "Nothing has been published here." in page.body
    assert "0 of 70" in page.body
    assert client.get("/fresh/configurations").body.count("Not live") >= 16
    assert (
        "Nothing of this is live here." in client.get("/fresh/configurations/COACHING_RESPONSE/premium").body
    )


def test_tenants_of_their_own_are_counted_in_the_cell(
    first_data: Session, client_as: ClientAs, actor_as: ActorAs
) -> None:
    configurations.create_configuration(
        first_data,
        interaction="COACHING_RESPONSE",
        tier="premium",
        tenant="acme",
        values=values(),
        actor=actor_as("editor"),
    )
    saved, _ = saved_entries(first_data, "production")
    releases.publish(
        first_data,
        "production",
        source=saved,
        keys=set(saved),
        reason="as planned",
        actor=actor_as("publisher"),
        source_name="saved",
    )
    first_data.commit()
    page = client_as("viewer").get(OVERVIEW)
    assert row_of(page, "COACHING_RESPONSE")[3] == "CLAUDE_3_5_SONNET1 tenant apart"
    assert premium(first_data).tenant is None


def test_the_first_steps_are_ticked_as_they_are_done_and_can_be_put_away(
    first_data: Session, client_as: ClientAs, actor_as: ActorAs
) -> None:
    client = client_as("viewer")
    page = client.get(OVERVIEW)
    assert "First steps" in page.body
    assert page.text.count('aria-label="Done"') == 0
    save(first_data, actor_as("editor"))
    first_data.commit()
    assert client.get(OVERVIEW).text.count('aria-label="Done"') == 1
    assert "First steps" not in client.follow(client.post("/production/first-steps")).body


def test_proposals_and_emergencies_that_wait_for_somebody_are_on_their_overview(
    first_data: Session, client_as: ClientAs, actor_as: ActorAs
) -> None:
    rule(first_data, approvals=1)
    make_submitted(first_data, actor_as("editor"))
    event = told(first_data, "aborted version 2", environment="production", emergency=True)
    first_data.commit()

    page = client_as("publisher").get(OVERVIEW)
    assert "Proposal 1 of" in words(page.by_id("needs-you"))
    assert page.link("Look at it afterwards") == f"/changes/{event.id}"
    for role in ("viewer", "editor", "on-call"):
        assert "Needs you" not in client_as(role).get(OVERVIEW).body
    assert "Needs you" not in client_as("publisher").get("/staging/").body


def test_where_others_have_to_agree_one_proposes(
    first_data: Session, client_as: ClientAs, actor_as: ActorAs
) -> None:
    save(first_data, actor_as("editor"))
    rule(first_data, approvals=1)
    first_data.commit()
    assert client_as("editor").get(OVERVIEW).link("Review and propose") == "/production/unpublished"

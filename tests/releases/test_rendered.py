"""What prompts become: grouped alike, with what fails named; and what may not go live because of it."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Role
from controlplane.errors import Refused
from controlplane.prompts.render_pool import shared
from controlplane.releases import services, trials
from controlplane.releases.authority import EMERGENCY
from controlplane.releases.compose import Document
from controlplane.releases.composed import Composed, compose_now, compose_text
from controlplane.releases.figures import figures
from controlplane.releases.models import Release
from controlplane.releases.rendered import RenderedText, rendered
from controlplane.releases.saved import live_entry, saved_entries
from controlplane.releases.trials import Renders
from controlplane.samples.services import create_sample
from tests.page import PageClient
from tests.releases.changing import EDITOR, PREMIUM, PROMPT, PUBLISHER, REASON, save_prompt

ClientAs = Callable[[Role | str], PageClient]

INTERACTION = "interaction/COACHING_RESPONSE"
GOOD = {"conversation_context": "Coach: Hello.", "user_message": "Hello, who are you?"}


@pytest.fixture
def samples(first_data: Session) -> Session:
    """Two more sample sets: one that must pass, whose topic is one that the text does not know."""
    add(first_data, "Of growth", must_pass=True, topic="growth")
    add(first_data, "Without a topic")
    return first_data


def add(session: Session, name: str, *, must_pass: bool = False, **values: Any) -> None:
    create_sample(
        session, "COACHING_RESPONSE", name=name, values={**GOOD, **values}, must_pass=must_pass, actor=EDITOR
    )


def of_body(session: Session, change: Callable[[str], str]) -> Composed:
    body = compose_now(session, "production", {}).before.body({"code": "coaching_response"})
    assert body is not None
    return compose_text(session, "production", PROMPT, change(body), interaction="COACHING_RESPONSE")


def shown(session: Session, composed: Composed, **asked: str) -> RenderedText:
    found = rendered(composed, Renders(session, shared()), **asked)
    (text,) = found.texts
    assert not found.left_out
    return text


def live(session: Session, key: str) -> Document:
    found = live_entry(session, "production", key)
    assert found is not None
    return found


def test_inputs_that_change_by_the_same_words_stand_together(samples: Session) -> None:
    composed = of_body(samples, lambda body: body.replace("{{ topic }}", "{{ topic|upper }}"))
    text = shown(samples, composed)
    by_input = {name: group for group in text.groups for name in group.inputs}
    assert text.summary.startswith("2 distinct changes over ")
    assert by_input["Of growth"].inputs == ["Of growth"]
    assert "Without a topic" in text.same
    assert {"Example", "Of growth"} <= by_input.keys()
    (gone, come) = [row for row in by_input["Of growth"].rows if row.kind in {"ins", "del"}]
    assert [part.text for part in gone.parts if part.marked] == ["growth"]
    assert [part.text for part in come.parts if part.marked] == ["GROWTH"]


def test_the_input_that_is_asked_for_is_the_one_that_is_shown(samples: Session) -> None:
    composed = of_body(samples, lambda body: f"{body}Be brief.\n")
    first = shown(samples, composed).groups[0]
    assert (first.shown, len(first.inputs)) == ("Example", shown(samples, composed).inputs)
    assert shown(samples, composed, shown="Of growth").groups[0].shown == "Of growth"
    assert "Of growth" not in shown(samples, composed, shown="Of growth").groups[0].others


def test_what_fails_is_named_with_its_line_and_the_longest_and_the_shortest_too(samples: Session) -> None:
    composed = of_body(samples, lambda body: "{{ 1 // (0 if topic == 'growth' else 1) }}\n" + body)
    text = shown(samples, composed)
    (failing,) = text.failing
    assert (failing.name, failing.required, failing.failed_before) == ("Of growth", True, False)
    assert failing.problem.startswith("line 1: ")
    assert text.blocked
    assert text.longest
    assert text.shortest
    assert text.longest.characters > text.shortest.characters


def test_a_configuration_that_takes_another_template_is_compared_with_the_text_it_had(
    first_data: Session,
) -> None:
    document = live(first_data, PREMIUM)
    (variant,) = document["variants"]
    taken = {**document, "variants": [{**variant, "version": 2, "prompt": {"code": "kpi_analysis"}}]}
    (text,) = trials.changing_texts(compose_now(first_data, "production", {PREMIUM: taken}))
    assert text.name == "COACHING_RESPONSE · premium, template kpi_analysis"
    assert text.before != text.after
    assert text.before == compose_now(first_data, "production", {}).before.body(variant["prompt"])


def test_a_sample_set_of_what_is_required_stands_in_for_the_declared_examples(first_data: Session) -> None:
    declared = compose_now(first_data, "production", {}).before.parameters("COACHING_RESPONSE")
    known = trials.inputs_of(first_data, "COACHING_RESPONSE", declared)
    assert sum(each.name.startswith("Only what is required") for each in known) == 1
    changed = [
        msgspec.structs.replace(each, example="Other") if each.name == "user_message" else each
        for each in declared
    ]
    known = trials.inputs_of(first_data, "COACHING_RESPONSE", changed)
    names = [each.name for each in known if each.name.startswith("Only what is required")]
    assert sorted(names) == ["Only what is required", "Only what is required, as declared"]


def test_what_renders_no_otherwise_is_not_looked_at(first_data: Session) -> None:
    document = live(first_data, PREMIUM)
    warmer = {**document, "variants": [{**each, "temperature": 0.1} for each in document["variants"]]}
    assert trials.changing_texts(compose_now(first_data, "production", {PREMIUM: warmer})) == []


def test_a_parameter_that_is_gone_keeps_its_example_for_the_text_as_it_is_now(first_data: Session) -> None:
    interaction = live(first_data, INTERACTION)
    without = {
        **interaction,
        "parameters": [each for each in interaction["parameters"] if each["name"] != "topic"],
    }
    composed = compose_now(first_data, "production", {INTERACTION: without})
    text = rendered(composed, Renders(first_data, shared())).texts[0]
    assert text.failing
    assert not any(each.failed_before for each in text.failing if each.name == "Example")


def test_figures_count_the_text_and_price_every_configuration(first_data: Session) -> None:
    composed = of_body(first_data, lambda body: body + "Keep to what was said before. " * 100)
    found = {each.name: each for each in figures(composed, Renders(first_data, shared()))}
    premium = found["COACHING_RESPONSE · premium"]
    assert premium.tokens_before
    assert premium.tokens_after
    assert premium.tokens_after - premium.tokens_before == pytest.approx(700, rel=0.15)
    assert premium.before
    assert premium.after
    assert premium.after > premium.before
    assert premium.change.startswith("+")
    assert any(room.is_fallback for room in premium.rooms) == bool(
        live(first_data, PREMIUM)["variants"][0]["fallbacks"]
    )


def publish(session: Session, **values: Any) -> Release:
    return services.publish_entries(
        session,
        "production",
        reason=REASON,
        actor=PUBLISHER,
        action="test.published",
        sentence="published a test",
        source_name="test",
        **values,
    )


def failing_changes(session: Session) -> dict[str, Document | None]:
    """A template's newest version, saved before a sample set was added that it fails with."""
    body = "{{ 1 // (0 if topic == 'growth' else 1) }}\n"
    save_prompt(session, suffix=body)
    saved, _ = saved_entries(session, "production")
    return {PROMPT: saved[PROMPT]}


def test_a_text_that_fails_with_a_sample_that_must_pass_does_not_go_live(first_data: Session) -> None:
    changes = failing_changes(first_data)
    add(first_data, "Of growth", topic="growth")
    publish(first_data, changes=changes)  # it need not pass
    services.roll_back(first_data, "production", to=1, reason=REASON, actor=PUBLISHER)
    add(first_data, "Of growth, surely", must_pass=True, topic="growth")
    with pytest.raises(Refused) as refused:
        publish(first_data, changes=changes)
    (told,) = refused.value.errors.values()
    assert told.startswith(
        "Template coaching_response does not render with “Of growth, surely”, which it has to: line "
    )


def test_what_takes_something_back_is_let_through(first_data: Session) -> None:
    changes = failing_changes(first_data)
    publish(first_data, changes=changes)
    services.roll_back(first_data, "production", to=1, reason=REASON, actor=PUBLISHER)
    add(first_data, "Of growth", must_pass=True, topic="growth")
    assert services.roll_back(first_data, "production", to=2, reason=REASON, actor=PUBLISHER).number == 4
    services.roll_back(first_data, "production", to=1, reason=REASON, actor=PUBLISHER)
    assert publish(first_data, changes=changes, authority=EMERGENCY).number == 6


def test_the_pages_show_what_prompts_become(client_as: ClientAs, samples: Session) -> None:
    save_prompt(samples, suffix="Never promise anything.")
    viewer = client_as("viewer")
    page = viewer.get("/production/unpublished/rendered")
    assert "Never promise anything." in page.body
    assert "1 distinct change over" in page.body
    assert page.texts("td", class_="num")
    one = viewer.get("/production/templates/coaching_response/rendered?view=split&input=Of growth")
    assert "+Never promise anything." in one.texts("td", class_="ins")
    nothing = viewer.get("/production/templates/kpi_analysis/rendered")
    assert "No text that a model gets is changed by it." in nothing.body


def test_a_text_that_is_being_typed_is_shown_and_not_kept(client_as: ClientAs, first_data: Session) -> None:
    editor = client_as("editor")
    page = editor.post(
        "/production/templates/coaching_response/rendered", {"body": "Only {{ topic }}{{ nonsense }}"}
    )
    assert page.status == 200
    assert "has to render, and does not" in page.body
    assert first_data.scalars(select(Release.number).where(Release.environment == "production")).all() == [1]

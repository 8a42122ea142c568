"""Each check as it is when all is well, and once red: on real content, with the real renderer."""

import datetime as dt
from typing import Any

import pytest
from sqlalchemy.orm import Session

from controlplane.prompts.render_pool import shared
from controlplane.proposals import checks, reach
from controlplane.proposals.checks import Check
from controlplane.releases.compose import Document
from controlplane.releases.composed import Composed, compose_now
from controlplane.releases.figures import Figures, figures
from controlplane.releases.saved import live_entry
from controlplane.releases.trials import Renders
from tests.releases.changing import DEFAULT, GATE, PREMIUM, PROMPT

INTERACTION = "interaction/COACHING_RESPONSE"


def live(session: Session, key: str) -> Document:
    found = live_entry(session, "production", key)
    assert found is not None
    return found


def variant(session: Session, key: str = PREMIUM, **values: Any) -> Document:
    """A configuration's live document with other values in its only variant."""
    document = live(session, key)
    return {**document, "variants": [{**document["variants"][0], **values}]}


def composed(session: Session, changes: dict[str, Document | None]) -> Composed:
    return compose_now(session, "production", changes)


def renders(session: Session) -> Renders:
    return Renders(session, shared())


def figures_of(session: Session, changes: dict[str, Document | None]) -> list[Figures]:
    return figures(composed(session, changes), renders(session))


def by_name(found: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in found}


def test_what_is_in_order_is_green_throughout(first_data: Session) -> None:
    found = checks.content_checks(
        composed(first_data, {PREMIUM: variant(first_data, temperature=0.1)}), renders(first_data)
    )
    assert [check.name for check in found] == ["valid", "samples", "contract", "cost", "context", "limits"]
    assert {check.state for check in found} == {checks.OK}


def test_what_services_would_refuse_is_red(first_data: Session) -> None:
    found = checks.valid(composed(first_data, {PREMIUM: variant(first_data, model="NO_SUCH"), GATE: None}))
    assert found.state == checks.PROBLEM
    assert any("there is no model NO_SUCH" in detail for detail in found.details)


def test_what_changes_nothing_is_told(first_data: Session) -> None:
    found = checks.valid(composed(first_data, {PREMIUM: live(first_data, PREMIUM)}))
    assert (found.state, found.short) == (checks.WARNING, "nothing to change")


def test_a_text_that_its_examples_do_not_fill_is_red(first_data: Session) -> None:
    interaction = live(first_data, INTERACTION)
    used = interaction["parameters"][0]["name"]
    without = {**interaction, "parameters": interaction["parameters"][1:]}
    found = checks.samples_render(composed(first_data, {INTERACTION: without}), renders(first_data))
    assert found.state == checks.PROBLEM
    assert any(used in detail for detail in found.details)


def test_a_text_that_no_longer_fits_what_its_interaction_declares_is_red_with_line_and_column(
    first_data: Session,
) -> None:
    interaction = live(first_data, INTERACTION)
    kept = [each for each in interaction["parameters"] if each["name"] != "topic"]
    found = checks.contract_kept(
        composed(first_data, {INTERACTION: {**interaction, "parameters": kept}}), renders(first_data)
    )
    assert found.state == checks.PROBLEM
    assert all("the interaction has no parameter topic" in detail for detail in found.details)
    assert ": line 22, column 7: " in found.details[0]
    unused = [*interaction["parameters"], {"name": "mood", "type": "string", "example": "calm"}]
    found = checks.contract_kept(
        composed(first_data, {INTERACTION: {**interaction, "parameters": unused}}), renders(first_data)
    )
    assert (found.state, found.short) == (checks.WARNING, "1 warning")


def test_a_dearer_model_is_weighed_in_numbers(first_data: Session) -> None:
    code = live(first_data, PREMIUM)["variants"][0]["model"]
    key = f"model/{code}"
    model = live(first_data, key)
    dearer = {**model, "output_price_per_million": model["output_price_per_million"] * 10}
    found = checks.cost_change(figures_of(first_data, {key: dearer}))
    assert found.state == checks.WARNING
    assert found.short.startswith("cost +")
    assert any(detail.startswith("COACHING_RESPONSE · premium: $") for detail in found.details)


def test_a_cost_that_is_not_known_is_said_to_be_so(first_data: Session) -> None:
    key = f"model/{live(first_data, PREMIUM)['variants'][0]['model']}"
    unknown = {**live(first_data, key), "output_price_per_million": None}
    found = checks.cost_change(figures_of(first_data, {key: unknown}))
    assert (found.state, found.short) == (checks.WARNING, "cost not known")


@pytest.mark.parametrize("fallback", [False, True])
def test_a_text_too_long_for_a_model_or_its_fallback_is_red(first_data: Session, fallback: bool) -> None:
    code = live(first_data, PREMIUM)["variants"][0]["model"]
    small = "CLAUDE_3_HAIKU" if fallback else code
    changes: dict[str, Document | None] = {
        f"model/{small}": {**live(first_data, f"model/{small}"), "context_window": 200}
    }
    if fallback:
        changes[PREMIUM] = variant(first_data, fallbacks=[small])
    found = checks.context_window(figures_of(first_data, changes))
    assert found.state == checks.PROBLEM
    assert any(f"of 200 that {small} takes" in detail for detail in found.details)


def test_more_tokens_than_a_model_gives_is_red(first_data: Session) -> None:
    found = checks.context_window(figures_of(first_data, {PREMIUM: variant(first_data, max_tokens=999_999)}))
    assert found.state == checks.PROBLEM
    assert any("999,999 tokens out are asked" in detail for detail in found.details)


def test_what_is_too_large_for_an_item_is_red_with_the_number(first_data: Session) -> None:
    large = {**live(first_data, INTERACTION), "description": "x" * 400_000}
    found = checks.limits(composed(first_data, {INTERACTION: large}))
    assert found.state == checks.PROBLEM
    assert "of at most 393,216" in found.sentence
    assert any("bytes; one item of the store holds 393,216" in detail for detail in found.details)


def test_what_moved_and_what_is_due_is_told() -> None:
    assert checks.unmoved(["COACHING_RESPONSE · premium"], 3).state == checks.PROBLEM
    assert checks.unmoved([], 3).short == "not moved since release 3"
    due = dt.datetime(2026, 12, 1, 8, tzinfo=dt.UTC)
    assert checks.on_time(due, "Europe/Berlin", due - dt.timedelta(hours=1)).state == checks.OK
    assert checks.on_time(due, "Europe/Berlin", due + dt.timedelta(hours=1)).state == checks.WARNING


def sentences(session: Session, changes: dict[str, Document | None]) -> list[str]:
    return [each.sentence for each in reach.affected(composed(session, changes))[0]]


def test_who_is_affected_by_each_kind_of_entry(first_data: Session) -> None:
    prompt = {**live(first_data, PROMPT), "version": 2}
    assert sentences(first_data, {PREMIUM: variant(first_data, temperature=0.1)}) == [
        "Calls of COACHING_RESPONSE in premium: everyone."
    ]
    (told,) = sentences(first_data, {DEFAULT: variant(first_data, DEFAULT, temperature=0.1)})
    assert told.startswith(
        "Calls of COACHING_RESPONSE in tiers without a row of their own, which are those in "
    )
    assert "and those without a tier: everyone." in told
    (told,) = sentences(first_data, {PROMPT: prompt})
    assert told.startswith("3 live configurations follow its live version: COACHING_RESPONSE · basic")
    gate = {**live(first_data, GATE), "ranges": [[0, 40_000]]}
    (told,) = sentences(first_data, {GATE: gate})
    assert told.startswith(
        "Calls of COACHING_RESPONSE: 40 % of users go through configuration look-up (now 100 %)"
    )
    assert sentences(first_data, {PREMIUM: None}) == [
        "Calls of COACHING_RESPONSE in premium: they get another configuration, or none."
    ]


def test_the_share_of_a_rollout_is_who_is_affected(first_data: Session) -> None:
    document = live(first_data, PREMIUM)
    (old,) = document["variants"]
    new = {**old, "version": 2, "temperature": 0.1, "ranges": [[100_000, 90_000]]}
    rolling = {**document, "variants": [{**old, "ranges": [[0, 90_000]]}, new]}
    (told,) = sentences(first_data, {PREMIUM: rolling})
    assert told == (
        "Calls of COACHING_RESPONSE in premium: version 1 100 % → 90 % of users, version 2 0 % → 10 % of users."
    )

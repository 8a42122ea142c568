"""What is foretold of recorded calls is what happens: the same calls are made again after publishing."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.db import now
from controlplane.decisions.checking import difference
from controlplane.decisions.kept import kept
from controlplane.decisions.radius import Radius, percent
from controlplane.decisions.reach import reach_of
from controlplane.explain.answering import newest_snapshot
from controlplane.releases.composed import compose_now
from controlplane.releases.saved import live_entry
from controlplane.runtime.bucketing import BUCKETS
from controlplane.switches import services as switches
from tests.decisions.product import PRODUCTION, Asked, Product, calls, decision, put
from tests.proposals import stage

GATE = "gate/COACHING_RESPONSE"
DEFAULT = "configuration/COACHING_RESPONSE/default/*"
PREMIUM = "configuration/COACHING_RESPONSE/premium/*"
ACME = "configuration/COACHING_RESPONSE/premium/acme"
Documents = dict[str, dict[str, Any] | None]


def entry(session: Session, key: str) -> dict[str, Any]:
    found = live_entry(session, PRODUCTION, key)
    assert found is not None
    return found


def split(document: dict[str, Any], share: int, **changed: Any) -> dict[str, Any]:
    """A second variant beside the first, for the last buckets."""
    (first, *_) = document["variants"]
    edge = BUCKETS - share
    return {
        **document,
        "variants": [
            {**first, "ranges": [[0, edge]]},
            {**first, "version": first["version"] + 1, "ranges": [[edge, BUCKETS]], **changed},
        ],
    }


def other_model(session: Session, document: dict[str, Any]) -> str:
    """A model of the release that this configuration does not use."""
    live = newest_snapshot(session, PRODUCTION)
    assert live is not None
    codes = [key.removeprefix("model/") for key in live.keys() if key.startswith("model/")]  # noqa: SIM118 - no dict
    active = [code for code in codes if (model := live.model(code)) and model.active]
    return next(code for code in active if code != document["variants"][0]["model"])


def radius_of(session: Session, documents: Documents) -> Radius:
    reach = reach_of(session, PRODUCTION, compose_now(session, PRODUCTION, documents), now())
    assert reach.radius is not None
    return reach.radius


def publish(session: Session, documents: Documents) -> None:
    ada = stage.person(session, Role.ADMIN, "Ada")
    stage.rule(session, approvals=0)
    stage.publish(session, stage.make_submitted(session, ada, entries=documents), ada)


def a_share_is_raised(session: Session) -> Documents:
    premium = split(entry(session, PREMIUM), 10_000, model=other_model(session, entry(session, PREMIUM)))
    return {PREMIUM: premium}


def a_gate_is_lowered(session: Session) -> Documents:
    return {GATE: {**entry(session, GATE), "ranges": [[0, 60_000]]}}


def a_row_goes_away(session: Session) -> Documents:
    return {PREMIUM: None}


def a_tenant_gets_its_own(session: Session) -> Documents:
    premium = entry(session, PREMIUM)
    return {
        ACME: {
            **premium,
            "salt": "another",
            "variants": [{**premium["variants"][0], "temperature": 0.11, "version": 1}],
        }
    }


def all_at_once(session: Session) -> Documents:
    default = split(entry(session, DEFAULT), 33_333, temperature=0.01)
    return {
        **a_share_is_raised(session),
        **a_gate_is_lowered(session),
        **a_tenant_gets_its_own(session),
        DEFAULT: default,
    }


@pytest.mark.parametrize(
    "change", [a_share_is_raised, a_gate_is_lowered, a_row_goes_away, a_tenant_gets_its_own, all_at_once]
)
async def test_what_is_foretold_of_recorded_calls_is_what_happens(
    first_data: Session, change: Callable[[Session], Documents]
) -> None:
    product, asked = Product(first_data), calls(200)
    before = await product.call(asked)
    assert product.read() == len(asked)

    foretold = radius_of(first_data, change(first_data))
    publish(first_data, change(first_data))
    after = await product.call(asked)

    differs = before.differs(after)
    assert foretold.is_exact
    assert foretold.calls == len(asked)
    assert foretold.after == after.named
    assert foretold.changed == sum(differs) > 0
    changed = [one for one, other in zip(asked, differs, strict=True) if other]
    assert foretold.changed_units == len({one.user for one in changed if one.user})
    for parts, names in (
        (foretold.tiers, [one.tier or "no tier" for one in changed]),
        (foretold.tenants, [one.tenant for one in changed if one.tenant]),
        (foretold.interactions, [one.interaction for one in changed]),
    ):
        assert {part.name: part.changed for part in parts} == {name: names.count(name) for name in names}


async def test_time_travel_equals_what_was_recorded(first_data: Session) -> None:
    product, asked = Product(first_data), calls(200)
    publish(first_data, all_at_once(first_data))
    await product.call(asked)
    product.read()
    live = newest_snapshot(first_data, PRODUCTION)
    assert live is not None
    found = kept(first_data, PRODUCTION, now()).decisions
    assert len(found) == len(asked)
    assert {each.kept_out for each in found} == {None, "call", "gate"}
    wanted = [each for each in found if each.kept_out != "call"]
    assert [difference(live, each) for each in wanted] == [None] * len(wanted)


async def test_a_row_with_a_salt_that_was_not_in_force_is_a_guess_and_counted_as_one(
    first_data: Session,
) -> None:
    product = Product(first_data)
    asked = [Asked("COACHING_RESPONSE", "premium", "acme", f"u-{number}") for number in range(400)]
    await product.call(asked)
    product.read()
    row = split({**entry(first_data, PREMIUM), "salt": "another"}, 25_000, temperature=0.11)

    foretold = radius_of(first_data, {ACME: row})

    assert (foretold.guessed, foretold.is_exact) == (400, False)
    assert 60 < foretold.changed < 140, "on average it is right"


def test_a_fallback_that_is_retired_is_one_less(first_data: Session) -> None:
    premium = entry(first_data, PREMIUM)
    spare = other_model(first_data, premium)
    publish(
        first_data, {PREMIUM: {**premium, "variants": [{**premium["variants"][0], "fallbacks": [spare]}]}}
    )
    put(first_data, decision(tier="premium"), decision(tier="basic"))
    found = radius_of(
        first_data, {f"model/{spare}": {**entry(first_data, f"model/{spare}"), "active": False}}
    )
    assert (found.changed, found.how) == (1, (("fallbacks", 1),))


def test_what_hangs_on_values_is_a_guess(first_data: Session) -> None:
    put(
        first_data,
        decision(tier="premium"),
        decision(tier="premium", path="legacy", kept_out="render_failed"),
        decision(tier="premium", path="legacy", kept_out="call"),
    )
    premium = entry(first_data, PREMIUM)
    other = {**premium, "variants": [{**premium["variants"][0], "temperature": 0.11}]}
    found = radius_of(first_data, {PREMIUM: other})
    assert (found.changed, found.guessed) == (2, 1), "whether a text can be made of its values now"
    interaction = entry(first_data, "interaction/COACHING_RESPONSE")
    strangers = [{**each, "untrusted": True} for each in interaction["parameters"]]
    found = radius_of(first_data, {"interaction/COACHING_RESPONSE": {**interaction, "parameters": strangers}})
    assert (found.changed, found.guessed) == (0, 2), "what is taken out of them"


def test_nothing_changes_where_a_switch_is_thrown(
    first_data: Session, actor_as: Callable[[Role | str], Actor]
) -> None:
    put(
        first_data, *(decision(tier="premium") for _ in range(5)), decision(tier="premium", kept_out="switch")
    )
    assert radius_of(first_data, a_row_goes_away(first_data)).changed == 6
    switches.throw(
        first_data,
        PRODUCTION,
        "COACHING_RESPONSE",
        reason="answers are in the wrong language",
        actor=actor_as(Role.ON_CALL),
    )
    assert radius_of(first_data, a_row_goes_away(first_data)).changed == 0


def test_cost_is_for_the_tokens_that_the_calls_had(first_data: Session) -> None:
    live = newest_snapshot(first_data, PRODUCTION)
    assert live is not None
    premium = entry(first_data, PREMIUM)
    other = other_model(first_data, premium)
    models = [live.model(premium["variants"][0]["model"]), live.model(other)]
    put(
        first_data,
        decision(tier="premium", input_tokens=1_000_000, output_tokens=0),
        decision(tier="premium", input_tokens=1_000_000),
    )
    changed = {**premium, "variants": [{**premium["variants"][0], "model": other}]}

    money = radius_of(first_data, {PREMIUM: changed}).money

    assert money is not None
    assert money.calls == 1
    assert [float(money.before), float(money.after)] == [
        model.input_price_per_million for model in models if model
    ]


def test_how_long_a_model_takes_is_what_was_recorded_of_it(first_data: Session) -> None:
    premium = entry(first_data, PREMIUM)
    now_model, other = premium["variants"][0]["model"], other_model(first_data, premium)
    slow = [
        decision(tier="premium", answered_by=now_model, milliseconds=each) for each in (900, 1_000, 5_000)
    ]
    quick = decision(answered_by=other, milliseconds=200)
    put(first_data, *slow, quick, decision(tier="premium", answered_by=other, milliseconds=9_999, error="x"))
    changed = {**premium, "variants": [{**premium["variants"][0], "model": other}]}

    (turn,) = radius_of(first_data, {PREMIUM: changed}).turns

    assert (turn.before, turn.after, turn.calls, turn.before_ms, turn.after_ms) == (
        now_model,
        other,
        4,
        1_000,
        200,
    )


def test_how_long_the_legacy_path_takes_is_what_was_recorded_of_it(first_data: Session) -> None:
    put(first_data, decision(tier="premium", path="legacy", kept_out="call", milliseconds=700))
    put(first_data, decision(tier="premium"))
    closed: Documents = {GATE: {**entry(first_data, GATE), "ranges": []}}
    (turn,) = radius_of(first_data, closed).turns
    assert (turn.after, turn.before_ms, turn.after_ms) == ("the legacy path", None, 700)


def test_moving_a_configuration_without_changing_it_changes_no_call(first_data: Session) -> None:
    put(first_data, decision(tier="premium", tenant="acme"))
    premium = entry(first_data, PREMIUM)
    found = radius_of(first_data, {ACME: premium})
    assert (found.changed, found.turns, found.tenants) == (0, (), ())


@pytest.mark.parametrize(
    ("part", "whole", "told"),
    [
        (0, 0, "0 %"),
        (0, 9, "0 %"),
        (9, 9, "100 %"),
        (1, 10_000, "less than 0.1 %"),
        (9_999, 10_000, "99.9 %"),
        (1, 20, "5.0 %"),
        (1, 3, "33 %"),
    ],
)
def test_a_share_is_never_said_to_be_none_or_all_when_it_is_not(part: int, whole: int, told: str) -> None:
    assert percent(part, whole) == told

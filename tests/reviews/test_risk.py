"""The risk of a change, from what is known of it."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.reviews import risk
from controlplane.reviews.risk import Effect, Facts, Hours, assess, effect_of
from controlplane.reviews.rules import DEFAULTS, PROTECTED, Rule, Rules, asked, in_sample
from controlplane.reviews.states import Level
from controlplane.runtime.bucketing import BUCKETS

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("risk_cases.json").read_text("utf-8"))
DAY = dt.datetime(2026, 11, 24, 10, tzinfo=dt.UTC)


def facts_of(case: dict[str, Any]) -> Facts:
    return Facts(**{**case["facts"], "at": dt.datetime.fromisoformat(case["facts"]["at"])})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_the_score_its_level_and_its_reasons_in_words(case: dict[str, Any]) -> None:
    found = assess(facts_of(case), Hours(**case.get("hours", {})), newcomer_days=14)
    assert (found.score, found.level.label, [each.words for each in found.reasons]) == (
        case["score"],
        case["level"],
        case["words"],
    )


@given(
    share=st.one_of(st.none(), st.integers(0, BUCKETS)),
    more=st.integers(0, BUCKETS),
    entries=st.integers(1, 300),
    protected=st.booleans(),
    emergency=st.booleans(),
)
def test_the_score_is_the_sum_of_its_reasons_and_never_falls_with_the_share(
    share: int | None, more: int, entries: int, protected: bool, emergency: bool
) -> None:
    def of(buckets: int | None) -> risk.Risk:
        facts = Facts(
            action="release.published", at=DAY, environment="production", protected=protected,
            share=buckets, entries=entries, emergency=emergency,
        )  # fmt: skip
        return assess(facts, Hours(), newcomer_days=14)

    found = of(share)
    assert found.score == min(100, sum(each.points for each in found.reasons))
    assert all(each.points > 0 and each.words for each in found.reasons)
    assert of(min(BUCKETS, (share or 0) + more)).score >= found.score


def variant(model: str, *ranges: tuple[int, int], version: int = 1) -> dict[str, Any]:
    return {"model": model, "version": version, "ranges": [list(pair) for pair in ranges]}


PLACE = "configuration/COACHING_RESPONSE/premium/*"
WHOLE = {"variants": [variant("A", (0, BUCKETS))]}
TENTH = {"variants": [variant("A", (0, 90_000)), variant("B", (BUCKETS, 90_000), version=2)]}
IN_PREMIUM = "premium users in COACHING_RESPONSE"


@pytest.mark.parametrize(
    ("before", "after", "effect"),
    [
        ({PLACE: WHOLE}, {PLACE: TENTH}, Effect(10_000, IN_PREMIUM, 1)),
        ({PLACE: TENTH}, {PLACE: WHOLE}, Effect(10_000, IN_PREMIUM, 1)),
        ({}, {PLACE: WHOLE}, Effect(BUCKETS, IN_PREMIUM, 1)),
        # Another number of the same content moves nobody.
        ({PLACE: WHOLE}, {PLACE: {"variants": [variant("A", (0, BUCKETS), version=7)]}}, Effect(0, IN_PREMIUM, 1)),
        (
            {"gate/KPI_ANALYSIS": {"ranges": [[0, 40_000]]}},
            {"gate/KPI_ANALYSIS": {"ranges": [[0, 55_000]]}},
            Effect(15_000, "users in KPI_ANALYSIS", 1),
        ),
        (
            {"prompt/coaching": {"version": 1}, "model/A": {"x": 1}},
            {"prompt/coaching": {"version": 2}, "model/A": {"x": 2}},
            Effect(BUCKETS, "what uses the template coaching", 2),
        ),
        ({"role": "viewer"}, {"role": "admin"}, Effect(None, "users", 1)),
        # A large release keeps only digests: how many entries is all that is known.
        ({PLACE: {"sha256": "a"}}, {PLACE: {"sha256": "b"}}, Effect(0, IN_PREMIUM, 1)),
        (None, None, Effect(None, "users", 1)),
    ],
)  # fmt: skip
def test_the_effect_is_read_from_the_documents(before: Any, after: Any, effect: Effect) -> None:
    assert effect_of(before, after) == effect


def test_what_is_itself_a_look_at_something_is_never_looked_at() -> None:
    for action in (
        "review.reviewed",
        "review.signed_off",
        "emergency.agreed",
        "person.signed_in",
        "proposal.approved",
    ):
        assert risk.is_exempt(action), action
    for action in ("review.rules_changed", "person.role_changed", "release.published", "something.new"):
        assert not risk.is_exempt(action), action


@given(st.lists(st.text(alphabet="0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=26, max_size=26), max_size=40))
def test_the_sample_is_chosen_by_the_id_alone(ids: list[str]) -> None:
    assert [in_sample(each, 10) for each in ids] == [in_sample(each, 10) for each in ids]
    assert all(in_sample(each, 1) for each in ids)
    # Whatever is one in twenty is one in ten as well: a closer look takes nothing away.
    assert all(in_sample(each, 10) for each in ids if in_sample(each, 20))


def test_about_one_in_ten_is_sampled() -> None:
    assert 150 < sum(in_sample(f"{number:026}", 10) for number in range(2_000)) < 250


@pytest.mark.parametrize(
    ("rule", "level", "emergency", "why"),
    [
        (PROTECTED, Level.HIGH, False, "rule"),
        (PROTECTED, Level.MEDIUM, False, "rule"),
        (Rule(3, 0), Level.MEDIUM, False, None),
        (Rule(3, 0), Level.LOW, True, "emergency"),
        (Rule(4, 0), Level.HIGH, False, None),
        (Rule(4, 1), Level.LOW, False, "sample"),
    ],
)  # fmt: skip
def test_the_rule_of_an_environment_says_what_is_asked_for(
    rule: Rule, level: Level, emergency: bool, why: str | None
) -> None:
    assert asked(rule, level, "0" * 26, emergency=emergency) == why


def test_rules_come_back_as_they_were_kept() -> None:
    rules = Rules({"production": Rule(1, 0), "*": Rule(4, 20)}, Hours("Europe/Berlin", 7, 19), 2, 5, 60, 30)
    assert Rules.from_json(json.loads(json.dumps(rules.as_json()))) == rules
    assert DEFAULTS.rule("production", protected=True) == PROTECTED
    assert rules.rule("staging", protected=False) == DEFAULTS.rule("anywhere", protected=False)

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.runtime import Request, Snapshot, snapshot
from controlplane.runtime.bucketing import BUCKETS
from controlplane.runtime.explain import Explanation, Path, Rule, Verdict, document, explain
from controlplane.runtime.switches import KillSwitches, Switch
from tests.runtime import releases, slow_resolver
from tests.runtime.strategies import INTERACTIONS, TENANTS, TIERS, EntryMap, entry_maps

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
SWITCH = KillSwitches(
    interactions={"COACHING_RESPONSE": Switch("Ada", "2026-01-15T11:00:00Z", "answers are wrong")}
)
REQUESTS_EACH = 1_000
"""With the hundred maps below: 100,000 cases."""


def requests(seed: int) -> list[Request]:
    """Requests of every kind: known and unknown places, with and without the ids that are bucketed."""
    draw = random.Random(seed)
    return [
        Request(
            draw.choice((*INTERACTIONS, "UNKNOWN")),
            draw.choice((None, "default", *TIERS, "gold")),
            draw.choice((None, *TENANTS, "nobody")),
            draw.choice((None, "", f"u-{draw.randrange(10_000)}", "größe")),
            draw.choice((None, f"c-{draw.randrange(100)}")),
        )
        for _ in range(REQUESTS_EACH)
    ]


@settings(max_examples=100)
@given(entry_maps(), st.integers(0, 2**32), st.integers(-400, 400))
def test_what_is_explained_is_what_the_runtime_does(entry_map: EntryMap, seed: int, days: int) -> None:
    found = Snapshot.load(snapshot.build(*entry_map), release=3, environment="staging")
    now = NOW + timedelta(days=days)
    for request in requests(seed):
        expected = slow_resolver.answer(entry_map.documents, request, now)
        explained = explain(found, request, now=now)
        resolution = explained.resolution
        assert (resolution is None) == (expected is None)
        _holds_together(explained)
        if resolution is None or expected is None:
            continue
        assert (resolution.key, resolution.variant.version, resolution.bucket) == (
            expected["key"],
            expected["version"],
            expected["bucket"],
        )
        assert tuple(_passed_over(explained)) == expected["passed_over"]


def _holds_together(explained: Explanation) -> None:
    """What the steps say must follow from the answer, whatever it is."""
    steps = [step for step in explained.steps if step.rule is Rule.CONFIGURATION]
    resolution = explained.resolution
    decided = [step for step in steps if step.verdict is Verdict.DECIDED]
    if explained.path is Path.CONFIGURATION:
        assert resolution is not None
        assert [step.key for step in decided] == [resolution.key]
        assert explained.gate.included
    elif not explained.gate.included:
        assert not decided
    if resolution is None:
        assert explained.path is Path.LEGACY
        return
    chosen = [band for band in explained.bands if band.chosen]
    assert [band.version for band in chosen] == [resolution.variant.version]
    assert sum(band.share for band in explained.bands) == BUCKETS
    if resolution.chosen == "range":
        assert resolution.bucket is not None
        assert any(start <= resolution.bucket < end for start, end in chosen[0].ranges)
    assert explained.chain[0].code == resolution.variant.model


def _passed_over(explained: Explanation) -> list[str]:
    return [
        step.key
        for step in explained.steps
        if step.verdict is Verdict.PASSED_OVER and step.rule is Rule.CONFIGURATION and step.key
    ]


def test_every_rule_on_the_way_is_told_in_order() -> None:
    explained = explain(
        releases.load(), Request("COACHING_RESPONSE", "premium", "nobody", unit="u-1"), now=NOW
    )
    told = [(step.rule, step.verdict) for step in explained.steps]
    assert told[:2] == [(Rule.SWITCH, Verdict.PASSED), (Rule.GATE, Verdict.PASSED)]
    assert Verdict.ABSENT in {verdict for rule, verdict in told if rule is Rule.CONFIGURATION}
    assert (Rule.TEMPLATE, Verdict.DECIDED) in told
    assert (Rule.MODEL, Verdict.DECIDED) in told
    assert explained.sentence.endswith(".")


def test_a_thrown_switch_settles_it_and_the_rest_is_told_as_what_would_be() -> None:
    explained = explain(
        releases.load(), Request("COACHING_RESPONSE", "premium", unit="u-1"), now=NOW, switches=SWITCH
    )
    assert explained.path is Path.LEGACY
    assert explained.sentence == "The legacy path: a kill switch was thrown by Ada: answers are wrong."
    rows = [
        step
        for step in explained.steps
        if step.rule is Rule.CONFIGURATION and step.verdict is Verdict.DECIDED
    ]
    assert not rows
    assert explained.resolution is not None


def test_an_interaction_that_nobody_configured_takes_the_legacy_path() -> None:
    explained = explain(
        Snapshot.load(snapshot.build({}, {}), release=1, environment="staging"), Request("ALPHA"), now=NOW
    )
    assert explained.path is Path.LEGACY
    assert explained.sentence == "The legacy path: no configuration answers for ALPHA."
    assert document(explained)["configuration"] is None


@pytest.mark.parametrize("unit", [7, b"u"])
def test_an_id_that_is_no_text_is_refused_as_in_a_call(unit: object) -> None:
    with pytest.raises(TypeError, match="a unit is a string"):
        explain(releases.load(), Request("COACHING_RESPONSE", unit=unit), now=NOW)  # type: ignore[arg-type]


def test_retired_fallbacks_are_named_with_why_they_are_never_asked() -> None:
    entries = releases.documents()
    variant = entries["configuration/COACHING_RESPONSE/premium/*"]["variants"][0]
    code = next(
        key.removeprefix("model/")
        for key in entries
        if key.startswith("model/") and not key.endswith(f"/{variant['model']}")
    )
    variant["fallbacks"] = [code]
    entries[f"model/{code}"]["active"] = False

    explained = explain(releases.load(entries), Request("COACHING_RESPONSE", "premium"), now=NOW)

    assert {link.code: link.left_out for link in explained.chain}[code] == "it is retired"
    assert f"Fallback {code}: never asked, because it is retired." in [
        step.sentence for step in explained.steps
    ]

from decimal import Decimal
from typing import Any

from controlplane.coverage.rehearsal import Failure, Outcome, rehearse
from controlplane.runtime import Snapshot, snapshot
from tests.coverage.entries import NOW, Documents, model, release, row, variant

SECOND = model(2, provider="south", provider_model_id="s-1", parameters=[])


def rehearsed(documents: Documents, **failure: Any) -> tuple[list[Outcome], int]:
    taken = Snapshot.load(snapshot.build(documents, {}), release=3, environment="staging")
    found = rehearse(taken, Failure(**failure), now=NOW)
    return list(found.outcomes), found.untouched


def test_a_chain_that_ends_nowhere_comes_first() -> None:
    documents = release(
        model__SECOND=SECOND,
        configuration__ALPHA__premium__ANY=row(variant("LARGE", fallbacks=["SECOND"])),
    )
    outcomes, untouched = rehearsed(documents, provider="north")
    assert [(each.place.title, each.instead) for each in outcomes] == [
        ("ALPHA · default", None),
        ("ALPHA · premium", "SECOND"),
    ]
    assert untouched == 0


def test_what_the_other_model_is_not_sent_and_costs_is_told() -> None:
    documents = release(
        model__SECOND=SECOND,
        configuration__ALPHA__premium__ANY=row(variant("LARGE", temperature=0.3, fallbacks=["SECOND"])),
    )
    (outcome,), untouched = rehearsed(documents, model="LARGE")
    assert (outcome.dropped, untouched) == (("temperature",), 1)
    assert (outcome.cost, outcome.cost_instead, outcome.cost_words) == (Decimal("7.5"), Decimal("3"), "−60 %")


def test_a_fallback_in_which_the_call_does_not_fit_is_passed_over() -> None:
    documents = release(
        model__TINY=model(1, provider="south", context_window=4_000),
        model__SECOND=SECOND,
        configuration__ALPHA__premium__ANY=row(
            variant("LARGE", max_tokens=4_096, fallbacks=["TINY", "SECOND"])
        ),
    )
    outcomes, _ = rehearsed(documents, model="LARGE")
    assert (outcomes[0].instead, outcomes[0].too_long) == ("SECOND", ("TINY",))


def test_retired_fallbacks_catch_nobody() -> None:
    documents = release(
        model__SECOND={**SECOND, "active": False},
        configuration__ALPHA__premium__ANY=row(variant("LARGE", fallbacks=["SECOND"])),
    )
    outcomes, _ = rehearsed(documents, model="LARGE")
    assert outcomes[0].instead is None


def test_a_variant_that_nobody_gets_is_not_rehearsed() -> None:
    documents = release(
        configuration__ALPHA__premium__ANY=row(
            variant("LARGE"), variant("SMALL", 2, ranges=[]), variant("SMALL", 3, ranges=[], active=False)
        )
    )
    outcomes, untouched = rehearsed(documents, model="SMALL")
    assert [(each.place.title, each.version) for each in outcomes] == [("ALPHA · default", 1)]
    assert untouched == 1

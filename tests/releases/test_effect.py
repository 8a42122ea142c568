from typing import Any

import pytest

from controlplane.releases.diff import diff
from controlplane.releases.effect import in_words, share_moved

KEY, GATE = "configuration/COACHING_RESPONSE/premium/*", "gate/COACHING_RESPONSE"
Ranges = list[list[int]]


def variant(version: int, model: str, ranges: Ranges, **more: Any) -> dict[str, Any]:
    return {"version": version, "model": model, "ranges": ranges, **more}


def configuration(*variants: dict[str, Any]) -> dict[str, Any]:
    return {"unit": "user", "variants": list(variants)}


OLD = configuration(variant(1, "SONNET", [[0, 100_000]]))
A_QUARTER = configuration(variant(1, "SONNET", [[0, 75_000]]), variant(2, "HAIKU", [[100_000, 75_000]]))
HALF = configuration(variant(1, "SONNET", [[0, 50_000]]), variant(2, "HAIKU", [[50_000, 100_000]]))
SAME_MODEL = configuration(
    variant(1, "SONNET", [[0, 90_000]]), variant(2, "SONNET", [[90_000, 100_000]], temperature=1)
)


@pytest.mark.parametrize(
    ("before", "after", "share", "said"),
    [
        ({KEY: OLD}, {KEY: A_QUARTER}, 25_000, "; 25 % of users move from SONNET to HAIKU"),
        ({KEY: A_QUARTER}, {KEY: HALF}, 25_000, "; 25 % of users move from SONNET to HAIKU"),
        ({KEY: HALF}, {KEY: A_QUARTER}, 25_000, "; 25 % of users move from HAIKU to SONNET"),
        ({KEY: OLD}, {KEY: configuration(variant(2, "HAIKU", [[0, 100_000]]))}, 100_000, ""),
        ({KEY: OLD}, {KEY: SAME_MODEL}, 10_000, ""),
        ({}, {KEY: OLD}, 100_000, ""),
        ({KEY: OLD}, {}, 100_000, ""),
        ({GATE: {"ranges": [[0, 10_000]]}}, {GATE: {"ranges": [[0, 60_000]]}}, 50_000, ""),
        ({"prompt/a": {"version": 1}}, {"prompt/a": {"version": 2}}, 100_000, ""),
        ({"model/A": {"price": 1}}, {"model/A": {"price": 2}}, None, ""),
    ],
)
def test_who_moves_and_from_what_to_what(before: Any, after: Any, share: int | None, said: str) -> None:
    changes = diff(before, after)
    assert share_moved(changes) == share
    assert in_words(changes) == said


def test_of_several_configurations_each_is_named_and_the_rest_is_counted() -> None:
    keys = [f"configuration/{name}/premium/*" for name in "ABCD"]
    changes = diff(dict.fromkeys(keys, OLD), dict.fromkeys(keys, A_QUARTER))
    assert in_words(changes) == (
        "; 25 % of users of A · premium move from SONNET to HAIKU; 25 % of users of B · premium move from SONNET to HAIKU"
        "; 25 % of users of C · premium move from SONNET to HAIKU; and 1 more such move"
    )

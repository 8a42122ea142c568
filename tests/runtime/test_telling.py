from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controlplane.runtime.telling import LATELY, Lately, most_that_fit


def series(variant: int | None, calls: int, row: str = "premium/*", model: str = "LARGE") -> dict[str, Any]:
    return {
        "interaction": "COACHING_RESPONSE",
        "tier": "premium",
        "configuration": row,
        "model": model,
        "variant": variant,
        "calls": calls,
        "errors": 0,
        "fallbacks": 0,
    }


def told(lately: Lately, *all_of_them: dict[str, Any]) -> list[tuple[str, int | None]]:
    return [(each["configuration"], each["variant"]) for each in lately.order(all_of_them)]


def test_both_versions_of_a_rollout_come_before_what_is_called_more_and_what_is_over_comes_last() -> None:
    now = [0.0]
    lately = Lately(lambda: now[0])
    old, alone = series(1, 9_000, "basic/*"), series(4, 500, "other/*")
    told(lately, old, alone, series(2, 300), series(3, 0))
    now[0] = LATELY
    alone = series(4, 501, "other/*")
    assert told(lately, old, alone, series(2, 301), series(3, 1)) == [
        ("premium/*", 2),
        ("premium/*", 3),
        ("other/*", 4),
        ("basic/*", 1),
    ]
    now[0] += LATELY - 1
    assert told(lately, old, alone, series(2, 302), series(3, 1))[:2] == [("premium/*", 2), ("premium/*", 3)]
    now[0] += 1
    assert told(lately, old, alone, series(2, 303), series(3, 1))[0] == ("premium/*", 2)
    assert told(lately, old, alone, series(2, 303), series(3, 1))[-1] == ("premium/*", 3), (
        "nobody calls it now"
    )


def test_one_version_with_two_models_is_no_rollout() -> None:
    alone = series(1, 2, "basic/*")
    both = series(2, 1, model="LARGE"), series(2, 1, model="SMALL")
    assert told(Lately(), alone, *both, series(None, 1))[0] == ("basic/*", 1)


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(0, 800))
def test_as_many_are_told_as_there_is_room_for(sizes: list[int], room: int) -> None:
    variants = [series(number, size) for number, size in enumerate(sizes, start=1)]
    count = most_that_fit(variants, lambda first: sum(sizes[:first]) <= room)
    assert sum(sizes[:count]) <= room
    assert count == len(sizes) or sum(sizes[: count + 1]) > room

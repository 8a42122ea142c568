import datetime as dt
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controlplane.configurations.coverage import Cell, Source, answer, coverage
from controlplane.configurations.places import Place
from controlplane.db import Json
from tests.configurations.test_documents import SHA256, surroundings

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


def variant(model: str, *, version: int = 1, **changes: Any) -> Json:
    return {
        "version": version,
        "model": model,
        "prompt": {"code": "hello"},
        "ranges": [[0, 100_000]],
        "active": True,
        **changes,
    }


def entry(*variants: Json) -> Json:
    return {"salt": "s", "algorithm": "v1", "unit": "user", "variants": list(variants)}


def cells(entries: dict[str, Json], differing: tuple[str, ...] = ()) -> dict[str, Cell]:
    everything = {**surroundings(), **entries}
    (row,) = coverage(
        everything, interactions=["HELLO"], tiers=["free", "premium"], now=NOW, differing=differing
    )
    return {cell.place.tier_word: cell for cell in row.cells}


DEFAULT, PREMIUM, ANYWHERE = Place("HELLO").key, Place("HELLO", "premium").key, "configuration/*/default/*"


def test_a_tier_without_a_row_inherits_the_default() -> None:
    found = cells({DEFAULT: entry(variant("WIDE")), PREMIUM: entry(variant("OTHER"))})
    assert [(cell.source, cell.model) for cell in found.values()] == [
        (Source.OWN, "WIDE"),
        (Source.DEFAULT, "WIDE"),
        (Source.OWN, "OTHER"),
    ]
    assert found["free"].winner == Place("HELLO")


def test_without_any_row_there_is_the_environments_default_or_none() -> None:
    assert {cell.source for cell in cells({}).values()} == {Source.NONE}
    found = cells({ANYWHERE: entry(variant("THIRD"))})
    assert {(cell.source, cell.model, cell.winner) for cell in found.values()} == {
        (Source.ENVIRONMENT_DEFAULT, "THIRD", None)
    }


def test_a_row_that_does_not_count_now_is_passed_over() -> None:
    later = variant("OTHER", effective_from="2026-11-22T12:00:01Z")
    found = cells({DEFAULT: entry(variant("WIDE")), PREMIUM: entry(later)})
    assert (found["premium"].source, found["premium"].model) == (Source.DEFAULT, "WIDE")
    assert cells({PREMIUM: entry(variant("OTHER", active=False))})["premium"].source is Source.NONE


def test_a_rollout_shows_the_baseline_and_the_shares() -> None:
    rolling = entry(
        variant("WIDE", ranges=[[0, 90_000]]), variant("OTHER", version=2, ranges=[[100_000, 90_000]])
    )
    cell = cells({DEFAULT: rolling})["default"]
    assert cell.model == "WIDE"
    assert cell.rolling
    assert [(share.version, share.buckets) for share in cell.shares] == [(1, 90_000), (2, 10_000)]


def test_a_tenant_whose_own_row_does_not_count_gets_the_next_one() -> None:
    acme = Place("HELLO", "premium", "acme")

    def got(rows: dict[str, Json]) -> Cell:
        return answer({**surroundings(), **rows}, acme, now=NOW)

    own = entry(variant("OTHER", active=False))
    found = got({acme.key: own, DEFAULT: entry(variant("WIDE"))})
    assert (found.source, found.model) == (Source.DEFAULT, "WIDE")
    assert got({acme.key: own}).source is Source.NONE
    assert got({acme.key: entry(variant("OTHER"))}).source is Source.OWN


def test_a_cell_differs_with_the_row_that_wins_it() -> None:
    found = cells({DEFAULT: entry(variant("WIDE")), PREMIUM: entry(variant("OTHER"))}, (DEFAULT,))
    assert [cell.differs for cell in found.values()] == [True, True, False]


def test_tenants_of_their_own_are_counted_beside_the_cell() -> None:
    found = cells(
        {DEFAULT: entry(variant("WIDE")), Place("HELLO", "premium", "acme").key: entry(variant("OTHER"))}
    )
    assert (found["premium"].source, found["premium"].tenants) == (Source.DEFAULT, 1)


def test_an_entry_that_cannot_be_resolved_breaks_its_own_cells_only() -> None:
    found = cells({DEFAULT: entry(variant("WIDE")), PREMIUM: entry(variant("GONE"))})
    assert [cell.source for cell in found.values()] == [Source.OWN, Source.DEFAULT, Source.BROKEN]


@given(
    st.dictionaries(
        st.sampled_from([DEFAULT, PREMIUM, ANYWHERE, Place("HELLO", "free").key]),
        st.tuples(st.sampled_from(["WIDE", "OTHER", "THIRD"]), st.booleans()),
    )
)
def test_the_nearest_row_that_counts_wins(rows: dict[str, tuple[str, bool]]) -> None:
    found = cells({key: entry(variant(model, active=active)) for key, (model, active) in rows.items()})
    for word, cell in found.items():
        order = dict.fromkeys([Place("HELLO", None if word == "default" else word).key, DEFAULT, ANYWHERE])
        counting = [key for key in order if key in rows and rows[key][1]]
        assert cell.model == (rows[counting[0]][0] if counting else None)


def test_bodies_are_not_needed_to_say_who_wins() -> None:
    pinned = variant("WIDE", prompt={"code": "hello", "version": 1, "sha256": SHA256})
    assert cells({DEFAULT: entry(pinned)})["default"].source is Source.OWN

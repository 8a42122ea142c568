import datetime as dt
from collections.abc import Mapping

import pytest

from controlplane.guards.shares import ratio_of, units_of
from controlplane.units.counted import Distinct
from tests.guards.guarded import Guarded

NOW = dt.datetime(2026, 11, 24, 9, tzinfo=dt.UTC)


def counted(versions: Mapping[int, int], *, error: float = 0.033) -> Distinct:
    return Distinct("user", sum(versions.values()), versions, NOW, NOW, True, 0.0, error)


@pytest.mark.parametrize("total", [200, 10_000, 1_000_000])
def test_units_in_the_shares_that_were_set_are_in_order_however_many_they_are(
    guarded: Guarded, total: int
) -> None:
    # Off by as much as two sketches often are.
    ratio = ratio_of(guarded.here, counted({1: int(total * 0.48), 2: int(total * 0.52)}))
    assert ratio is not None
    assert (ratio.set_share, ratio.is_off) == (0.5, False)


def test_units_in_other_shares_are_found(guarded: Guarded) -> None:
    ratio = ratio_of(guarded.here, counted({1: 30_000, 2: 70_000}))
    assert ratio is not None
    assert ratio.is_off
    assert ratio.found == pytest.approx(0.7)


def test_units_of_versions_that_are_not_live_are_no_part_of_it(guarded: Guarded) -> None:
    ratio = ratio_of(guarded.here, counted({1: 5_000, 2: 5_000, 9: 40_000}))
    assert ratio is not None
    assert (ratio.units, ratio.is_off) == (10_000, False)


def test_where_nobody_is_counted_nothing_is_known(guarded: Guarded) -> None:
    assert units_of(guarded.session, guarded.here, at=guarded.now) is None
    assert ratio_of(guarded.here, None) is None
    assert ratio_of(guarded.here, counted({})) is None

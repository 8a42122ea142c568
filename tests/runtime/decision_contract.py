"""What a store owes that keeps recorded calls: subclass it and give it a `store` fixture."""

from datetime import UTC, datetime, timedelta

import pytest

from controlplane.runtime.stores import (
    DecisionLog,
    ObjectMismatchError,
    ObjectMissingError,
    ObjectTooLargeError,
)
from controlplane.runtime.stores.packing import pack

HOUR = datetime(2026, 11, 29, 1, tzinfo=UTC)
NEXT = HOUR + timedelta(hours=1)


class DecisionContract:
    def test_batches_are_listed_by_the_hour_and_come_back_as_they_were(self, store: DecisionLog) -> None:
        assert (
            list(store.list_decisions("production", HOUR)),
            list(store.list_decision_hours("production")),
        ) == (
            [],
            [],
        )
        for hour, name in ((HOUR, "web-1-ab-1"), (HOUR, "web-1-ab-10"), (NEXT, "web-1-ab-2")):
            store.write_decisions("production", hour, name, pack(name.encode()))
        store.write_decisions("staging", HOUR, "elsewhere", pack(b""))
        assert sorted(store.list_decisions("production", HOUR)) == ["web-1-ab-1", "web-1-ab-10"]
        assert list(store.list_decisions("production", NEXT)) == ["web-1-ab-2"]
        assert list(store.list_decision_hours("production")) == [HOUR, NEXT]
        assert store.read_decisions("production", HOUR, "web-1-ab-10", limit=100) == b"web-1-ab-10"

    def test_a_batch_is_not_handed_over_when_it_is_too_large_or_damaged(self, store: DecisionLog) -> None:
        store.write_decisions("production", HOUR, "bomb", pack(b"0" * 1_000_000))
        store.write_decisions("production", HOUR, "torn", pack(b"0" * 1_000)[:-9])
        with pytest.raises(ObjectTooLargeError):
            store.read_decisions("production", HOUR, "bomb", limit=100_000)
        with pytest.raises(ObjectMismatchError):
            store.read_decisions("production", HOUR, "torn", limit=100_000)

    def test_batches_that_are_deleted_are_gone_and_the_rest_stay(self, store: DecisionLog) -> None:
        for name in ("one", "two"):
            store.write_decisions("production", HOUR, name, pack(b""))
        for _ in range(2):  # again is fine
            store.delete_decisions("production", HOUR, ["one"])
        assert list(store.list_decisions("production", HOUR)) == ["two"]
        with pytest.raises(ObjectMissingError):
            store.read_decisions("production", HOUR, "one", limit=100)
        store.delete_decisions("production", HOUR, ["two"])
        assert list(store.list_decision_hours("production")) == []
        store.write_decisions("production", HOUR, "again", pack(b"again"))
        assert store.read_decisions("production", HOUR, "again", limit=100) == b"again"

    @pytest.mark.parametrize("batch", ["", "../pointer", "a/b", ".hidden", "a" * 200])
    def test_a_batch_whose_name_leads_elsewhere_is_refused(self, store: DecisionLog, batch: str) -> None:
        with pytest.raises(ValueError, match="name of a batch"):
            store.write_decisions("production", HOUR, batch, b"")

    def test_an_hour_is_an_hour(self, store: DecisionLog) -> None:
        with pytest.raises(ValueError, match="not an hour"):
            store.write_decisions("production", HOUR + timedelta(minutes=1), "one", b"")

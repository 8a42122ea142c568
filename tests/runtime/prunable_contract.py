"""What a store that can be cleaned up owes beside `StoreContract`: subclass it and give it a `store` fixture."""

from datetime import UTC, datetime, timedelta

import pytest

from controlplane.runtime.canonical import digest
from controlplane.runtime.stores import EvidenceStore, ObjectMissingError, ObjectTooLargeError, PrunableStore
from tests.runtime.store_contract import BODY, DATA, pointer


class PrunableContract:
    def test_what_is_there_is_listed_with_when_it_was_written(self, store: PrunableStore) -> None:
        began = datetime.now(UTC) - timedelta(seconds=2)  # S3 tells whole seconds
        assert (list(store.list_snapshots("production")), list(store.list_prompts())) == ([], [])
        for data in (DATA, b"other"):
            store.write_snapshot("production", digest(data), data)
        store.write_snapshot("staging", digest(b"elsewhere"), b"elsewhere")
        store.write_prompt(digest(BODY.encode()), BODY)
        snapshots = list(store.list_snapshots("production"))
        (prompt,) = store.list_prompts()
        assert {found.sha256 for found in snapshots} == {digest(DATA), digest(b"other")}
        assert (prompt.sha256, prompt.size) == (digest(BODY.encode()), len(BODY.encode()))
        assert all(
            began <= found.written_at <= datetime.now(UTC) and found.size for found in [*snapshots, prompt]
        )

    def test_what_releases_wrote_is_listed_and_nothing_else_is(self, store: PrunableStore) -> None:
        assert list(store.list_entries("production")) == []
        keys = ["tier/free", "tier/Free", "configuration/*/default/*", "lookup/*/*"]
        store.write_entries("production", 2, dict.fromkeys(keys, b"{}"))
        store.write_entries("production", 3, {"tier/free": None})
        store.write_entries("prod", 9, {"tier/other": b"{}"})
        store.move_pointer(pointer(3))
        store.write_switches("production", b"/", version=1)
        store.write_heartbeat("production", "host/1", b"/", seconds=60)
        assert set(store.list_entries("production")) == {
            ("tier/free", 3, True),
            *((key, 2, False) for key in keys),
        }

    def test_environments_with_a_pointer_are_listed(self, store: PrunableStore) -> None:
        assert store.list_environments() == []
        store.write_entries("written-only", 1, {"tier/free": b"{}"})
        for environment in ("staging", "production"):
            store.move_pointer(pointer(1, environment=environment))
        assert store.list_environments() == ["production", "staging"]

    def test_what_is_deleted_is_gone_and_the_rest_stays(self, store: PrunableStore) -> None:
        bodies = [f"{BODY}{number}" for number in range(3)]
        for body in bodies:
            data = body.encode()
            store.write_snapshot("production", digest(data), data)
            store.write_snapshot("staging", digest(data), data)
            store.write_prompt(digest(data), body)
        kept, *others = (digest(body.encode()) for body in bodies)
        for _ in range(2):  # again is fine
            store.delete_snapshots("production", others)
            store.delete_prompts(others)
        assert [found.sha256 for found in store.list_snapshots("production")] == [kept]
        assert [found.sha256 for found in store.list_prompts()] == [kept]
        assert len(list(store.list_snapshots("staging"))) == 3
        with pytest.raises(ObjectMissingError):
            store.read_prompt(others[0])
        store.write_prompt(others[0], bodies[1])
        assert store.read_prompt(others[0]) == bodies[1]

    def test_of_an_entry_the_releases_named_are_deleted(self, store: PrunableStore) -> None:
        many = {f"model/M{number}": b"{}" for number in range(60)}
        for release in (1, 2, 3):
            store.write_entries("production", release, many)
        for _ in range(2):
            store.delete_entries("production", [(key, release) for key in many for release in (1, 2)])
        assert {(found.key, found.release) for found in store.list_entries("production")} == {
            (key, 3) for key in many
        }
        assert store.read_entry("production", "model/M1", at=2) is None
        assert store.read_entry("production", "model/M1", at=3) == b"{}"

    @pytest.mark.parametrize("name", ["", "../pointer", "A" * 64])
    def test_a_name_that_is_no_digest_is_not_deleted(self, store: PrunableStore, name: str) -> None:
        with pytest.raises(ValueError, match="SHA-256"):
            store.delete_snapshots("production", [name])
        with pytest.raises(ValueError, match="SHA-256"):
            store.delete_prompts([name])


class EvidenceContract:
    """What a store owes that keeps what the record of changes leaves in it."""

    def test_evidence_is_written_once_and_stays(self, store: EvidenceStore) -> None:
        name = "releases/production/000000000041.json"
        assert store.read_evidence(name, limit=100) is None
        assert store.create_evidence(name, b"first")
        assert store.create_evidence(name, b"first")
        assert not store.create_evidence(name, b"forged")
        assert store.read_evidence(name, limit=100) == b"first"
        with pytest.raises(ObjectTooLargeError):
            store.read_evidence(name, limit=4)

    def test_evidence_is_listed_by_its_folder(self, store: EvidenceStore) -> None:
        assert list(store.list_evidence("daily")) == []
        for name in ("daily/2026-11-28.json", "daily/2026-11-29.json", "archive/2025-01.json"):
            store.create_evidence(name, b"{}")
        assert sorted(store.list_evidence("daily")) == ["daily/2026-11-28.json", "daily/2026-11-29.json"]

    @pytest.mark.parametrize("name", ["", "../pointer", "/daily", "daily/../x", "Daily", "a/b/c/d/e"])
    def test_a_name_that_leads_elsewhere_is_refused(self, store: EvidenceStore, name: str) -> None:
        with pytest.raises(ValueError, match="name of evidence"):
            store.create_evidence(name, b"")

"""What every release store owes, run against each of them: subclass it and give it a `store` fixture."""

import functools
import threading
from collections.abc import Callable

import msgspec
import pytest

from controlplane.runtime.canonical import digest
from controlplane.runtime.stores import (
    ObjectMissingError,
    ObjectTooLargeError,
    Pointer,
    PointerConflictError,
    ReleaseStore,
)
from controlplane.runtime.stores.base import HEARTBEAT_LIMIT, SWITCHES_LIMIT

DATA = b'{"entries":{},"prompts":{},"schema":1}'
BODY = "Dear {{ name }}, ünïcode · \U0001f600\n"
ODD = b"\x00\xff { not text }\n"


def pointer(release: int, content: str = "", environment: str = "production") -> Pointer:
    return Pointer(
        environment=environment,
        release=release,
        sha256=digest(content.encode()),
        size=len(content),
        published_at="2026-11-22T10:00:00Z",
    )


class StoreContract:
    def test_an_environment_nobody_published_to_has_no_pointer(self, store: ReleaseStore) -> None:
        assert store.read_pointer("nowhere") is None

    def test_a_pointer_comes_back_with_every_field(self, store: ReleaseStore) -> None:
        full = Pointer(
            environment="production",
            release=7,
            sha256=digest(b"x"),
            size=123_456,
            schema=2,
            minimum_reader=3,
            published_at="2026-11-22T10:00:00Z",
            allow_shrink=True,
            key_id="k1",
            signature="c2lnbmF0dXJl",
        )
        assert store.move_pointer(full)
        assert store.read_pointer("production") == full

    def test_the_pointer_moves_forward(self, store: ReleaseStore) -> None:
        assert store.move_pointer(pointer(1, "a"))
        assert store.move_pointer(pointer(2, "b"))
        assert store.read_pointer("production") == pointer(2, "b")

    def test_the_pointer_never_moves_back(self, store: ReleaseStore) -> None:
        store.move_pointer(pointer(10, "new"))
        assert not store.move_pointer(pointer(9, "old"))
        assert store.read_pointer("production") == pointer(10, "new")

    def test_moving_to_where_it_already_is_counts_as_moved(self, store: ReleaseStore) -> None:
        store.move_pointer(pointer(3, "a"))
        assert store.move_pointer(pointer(3, "a"))

    def test_one_release_with_two_contents_is_refused_aloud(self, store: ReleaseStore) -> None:
        store.move_pointer(pointer(3, "a"))
        with pytest.raises(PointerConflictError):
            store.move_pointer(pointer(3, "b"))
        assert store.read_pointer("production") == pointer(3, "a")

    def test_a_rollback_is_a_newer_release_with_older_content(self, store: ReleaseStore) -> None:
        for release, content in enumerate(["a", "b", "a"], start=1):
            assert store.move_pointer(pointer(release, content))
        assert store.read_pointer("production") == pointer(3, "a")

    def test_the_live_release_is_signed_with_another_key(self, store: ReleaseStore) -> None:
        live = pointer(3, "a")
        store.move_pointer(live)
        for key in ("old", "new"):
            signed = msgspec.structs.replace(live, key_id=key, signature="c2lnbmF0dXJl")
            assert store.replace_signature(signed)
            assert store.read_pointer("production") == signed

    @pytest.mark.parametrize(
        "other", [pointer(2, "a"), pointer(4, "a"), pointer(3, "b")], ids=["older", "newer", "other content"]
    )
    def test_a_signature_of_what_is_not_live_changes_nothing(
        self, store: ReleaseStore, other: Pointer
    ) -> None:
        assert not store.replace_signature(other)
        assert store.read_pointer("production") is None
        store.move_pointer(pointer(3, "a"))
        assert not store.replace_signature(other)
        assert store.read_pointer("production") == pointer(3, "a")

    def test_signing_the_live_release_again_never_undoes_a_publish(self, store: ReleaseStore) -> None:
        store.move_pointer(pointer(1, "1"))

        def sign(start: int) -> None:
            for release in range(start, 41, 2):
                store.replace_signature(
                    msgspec.structs.replace(pointer(release, str(release)), signature="c2ln")
                )

        def publish() -> None:
            for release in range(2, 41):
                assert store.move_pointer(pointer(release, str(release)))

        together([publish, *(functools.partial(sign, start) for start in (1, 2))])
        live = store.read_pointer("production")
        assert live is not None
        assert live.release == 40

    def test_environments_do_not_see_each_other(self, store: ReleaseStore) -> None:
        store.move_pointer(pointer(5, "p"))
        store.write_snapshot("production", digest(DATA), DATA)
        store.write_entries("production", 5, {"tier/free": b"{}"})
        assert store.read_pointer("staging") is None
        assert store.read_entry("staging", "tier/free", at=5) is None
        with pytest.raises(ObjectMissingError):
            store.read_snapshot("staging", digest(DATA), limit=1000)

    def test_writers_that_race_leave_the_newest_and_readers_never_see_it_fall(
        self, store: ReleaseStore
    ) -> None:
        seen: list[int] = []
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                if found := store.read_pointer("production"):
                    seen.append(found.release)

        def write(start: int) -> None:
            for release in range(start, 41, 4):
                store.move_pointer(pointer(release, str(release)))

        reader = threading.Thread(target=read)
        reader.start()
        together([functools.partial(write, start) for start in (1, 2, 3, 4)])
        done.set()
        reader.join()
        assert seen == sorted(seen)
        assert store.read_pointer("production") == pointer(40, "40")

    def test_a_snapshot_comes_back_as_it_was(self, store: ReleaseStore) -> None:
        store.write_snapshot("production", digest(DATA), DATA)
        assert store.read_snapshot("production", digest(DATA), limit=len(DATA)) == DATA

    def test_writing_a_snapshot_twice_changes_nothing(self, store: ReleaseStore) -> None:
        together([lambda: store.write_snapshot("production", digest(DATA), DATA)] * 4)
        assert store.read_snapshot("production", digest(DATA), limit=1000) == DATA

    def test_bytes_are_not_kept_under_a_name_that_is_not_theirs(self, store: ReleaseStore) -> None:
        with pytest.raises(ValueError, match="are not"):
            store.write_snapshot("production", digest(b"other"), DATA)
        with pytest.raises(ValueError, match="are not"):
            store.write_prompt(digest(b"other"), BODY)

    def test_a_snapshot_over_the_readers_limit_is_not_handed_over(self, store: ReleaseStore) -> None:
        bomb = b"0" * 5_000_000
        store.write_snapshot("production", digest(bomb), bomb)
        with pytest.raises(ObjectTooLargeError):
            store.read_snapshot("production", digest(bomb), limit=len(bomb) - 1)
        assert store.read_snapshot("production", digest(bomb), limit=len(bomb)) == bomb

    def test_what_is_not_there_is_missing(self, store: ReleaseStore) -> None:
        with pytest.raises(ObjectMissingError):
            store.read_snapshot("production", digest(b"none"), limit=1000)
        with pytest.raises(ObjectMissingError):
            store.read_prompt(digest(b"none"))

    @pytest.mark.parametrize("name", ["", "../pointer", "A" * 64, "0" * 63, "0" * 64 + "\n"])
    def test_a_name_that_is_no_digest_is_not_looked_up(self, store: ReleaseStore, name: str) -> None:
        with pytest.raises(ValueError, match="SHA-256"):
            store.read_snapshot("production", name, limit=1000)
        with pytest.raises(ValueError, match="SHA-256"):
            store.read_prompt(name)

    @pytest.mark.parametrize("environment", ["", "..", "a/b", "prod#pointer", "Prod", "prod\n"])
    def test_an_environment_that_could_reach_elsewhere_is_refused(
        self, store: ReleaseStore, environment: str
    ) -> None:
        with pytest.raises(ValueError, match="environment code"):
            store.read_pointer(environment)
        with pytest.raises(ValueError, match="environment code"):
            store.write_snapshot(environment, digest(DATA), DATA)

    def test_a_prompt_comes_back_to_the_letter(self, store: ReleaseStore) -> None:
        store.write_prompt(digest(BODY.encode()), BODY)
        store.write_prompt(digest(BODY.encode()), BODY)
        assert store.read_prompt(digest(BODY.encode())) == BODY

    def test_an_entry_is_read_as_of_a_release(self, store: ReleaseStore) -> None:
        key = "configuration/COACHING_RESPONSE/premium/*"
        store.write_entries("production", 2, {key: b'{"v":2}'})
        store.write_entries("production", 9, {key: b'{"v":9}'})
        store.write_entries("production", 10, {key: '{"v":"zehn ü"}'.encode()})
        read = [store.read_entry("production", key, at=release) for release in (1, 2, 8, 9, 10, 11)]
        assert read == [
            None,
            b'{"v":2}',
            b'{"v":2}',
            b'{"v":9}',
            '{"v":"zehn ü"}'.encode(),
            '{"v":"zehn ü"}'.encode(),
        ]

    def test_an_entry_that_is_gone_stays_readable_before(self, store: ReleaseStore) -> None:
        store.write_entries("production", 1, {"gate/X": b"{}"})
        store.write_entries("production", 2, {"gate/X": None})
        store.write_entries("production", 3, {"gate/X": b'{"again":true}'})
        assert [store.read_entry("production", "gate/X", at=release) for release in (1, 2, 3)] == [
            b"{}",
            None,
            b'{"again":true}',
        ]

    def test_keys_that_are_alike_are_not_the_same(self, store: ReleaseStore) -> None:
        keys = [
            "tier/free",
            "tier/Free",
            "tier/free/",
            "tier/fre",
            "tier/fr%65e",
            "configuration/*/default/*",
        ]
        store.write_entries("production", 1, {key: key.encode() for key in keys})
        assert [store.read_entry("production", key, at=1) for key in keys] == [key.encode() for key in keys]

    def test_a_release_of_many_entries_is_written_whole(self, store: ReleaseStore) -> None:
        documents: dict[str, bytes | None] = {f"model/M{number}": b"{}" for number in range(101)}
        store.write_entries("production", 1, documents)
        assert all(store.read_entry("production", key, at=1) == b"{}" for key in documents)

    def test_writing_a_release_again_is_fine(self, store: ReleaseStore) -> None:
        store.write_entries("production", 1, {"model/M": b'{"a":1}'})
        store.write_entries("production", 1, {"model/M": b'{"a":1}'})
        assert store.read_entry("production", "model/M", at=1) == b'{"a":1}'

    def test_an_environment_nobody_switched_anything_in_has_no_switches(self, store: ReleaseStore) -> None:
        assert store.read_switches("nowhere") is None

    def test_switches_come_back_to_the_byte(self, store: ReleaseStore) -> None:
        assert store.write_switches("production", ODD, version=1)
        assert store.read_switches("production") == ODD
        assert store.read_switches("staging") is None

    def test_switches_never_go_back(self, store: ReleaseStore) -> None:
        assert store.write_switches("production", b"three", version=3)
        assert not store.write_switches("production", b"two", version=2)
        assert store.read_switches("production") == b"three"
        assert store.write_switches("production", b"four", version=4)
        assert store.read_switches("production") == b"four"

    def test_one_version_of_the_switches_has_one_content(self, store: ReleaseStore) -> None:
        store.write_switches("production", b"this", version=1)
        assert store.write_switches("production", b"this", version=1)
        assert not store.write_switches("production", b"that", version=1)
        assert store.read_switches("production") == b"this"

    def test_people_who_switch_at_once_leave_the_highest_version(self, store: ReleaseStore) -> None:
        won: list[int] = []

        def write(version: int) -> None:
            if store.write_switches("production", str(version).encode(), version=version):
                won.append(version)

        together([functools.partial(write, version) for version in range(1, 9)])
        assert 8 in won
        assert store.read_switches("production") == b"8"

    def test_switches_too_large_to_be_read_every_few_seconds_are_refused(self, store: ReleaseStore) -> None:
        assert store.write_switches("production", b"x" * SWITCHES_LIMIT, version=1)
        with pytest.raises(ObjectTooLargeError):
            store.write_switches("production", b"x" * (SWITCHES_LIMIT + 1), version=2)

    def test_a_heartbeat_replaces_the_one_before(self, store: ReleaseStore) -> None:
        assert store.read_heartbeats("production") == {}
        store.write_heartbeat("production", "host:1:a", b"first", seconds=60)
        store.write_heartbeat("production", "host:1:a", ODD, seconds=60)
        store.write_heartbeat("production", "host:1:A", b"other", seconds=60)
        store.write_heartbeat("staging", "host:3:c", b"elsewhere", seconds=60)
        assert store.read_heartbeats("production") == {"host:1:a": ODD, "host:1:A": b"other"}

    def test_a_heartbeat_whose_time_has_passed_is_not_read(self, store: ReleaseStore) -> None:
        store.write_heartbeat("production", "host:1:a", b"gone", seconds=0)
        store.write_heartbeat("production", "host:2:b", b"here", seconds=60)
        assert store.read_heartbeats("production") == {"host:2:b": b"here"}
        store.write_heartbeat("production", "host:1:a", b"back", seconds=60)
        assert store.read_heartbeats("production") == {"host:1:a": b"back", "host:2:b": b"here"}

    def test_so_many_heartbeats_are_read_and_no_more(
        self, store: ReleaseStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("controlplane.runtime.stores.base.HEARTBEATS_READ", 2)
        for number in range(3):
            store.write_heartbeat("production", f"host:{number}:a", b"{}", seconds=60)
        assert len(store.read_heartbeats("production")) == 2

    def test_many_large_heartbeats_are_all_read(self, store: ReleaseStore) -> None:
        beats = {f"host:{number}:r": bytes([number]) * HEARTBEAT_LIMIT for number in range(20)}
        for process, data in beats.items():
            store.write_heartbeat("production", process, data, seconds=60)
        assert store.read_heartbeats("production") == beats

    @pytest.mark.parametrize("process", ["", "a b", "ü", "a\n", "x" * 257])
    def test_a_process_needs_a_plain_name(self, store: ReleaseStore, process: str) -> None:
        with pytest.raises(ValueError, match="process"):
            store.write_heartbeat("production", process, b"", seconds=60)

    def test_a_heartbeat_over_its_limit_is_refused(self, store: ReleaseStore) -> None:
        with pytest.raises(ObjectTooLargeError):
            store.write_heartbeat("production", "host:1:a", b"x" * (HEARTBEAT_LIMIT + 1), seconds=60)


def together(tasks: list[Callable[[], object]]) -> None:
    """Run all at once and raise what any of them raised."""
    failures: list[BaseException] = []

    def run(task: Callable[[], object]) -> None:
        try:
            task()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]

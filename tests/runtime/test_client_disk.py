from pathlib import Path

import pytest

from controlplane.runtime import Client, SnapshotRefused
from controlplane.runtime.acceptance import READER
from controlplane.runtime.bootstrap import make_bundle
from controlplane.runtime.errors import StoreUnavailable
from tests.clock import Clock
from tests.runtime.faults import FaultyStore, raises, release_bytes
from tests.runtime.serving import GOOD, NEXT, gone, temperature


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


@pytest.fixture
def warm(store: FaultyStore) -> Client:
    store.publish(5, GOOD)
    client = Client(store, "production")
    assert client.refresh()
    return client


def test_three_releases_are_kept_on_disk_and_the_newest_whole_one_is_used(
    store: FaultyStore, tmp_path: Path
) -> None:
    writer = Client(store, "production", disk=tmp_path)
    for release in range(1, 6):
        store.publish(release, release_bytes(release / 10))
        writer.refresh()
    copies = sorted((tmp_path / "production").iterdir())
    assert [int(path.name[:12]) for path in copies] == [3, 4, 5]
    copies[2].write_bytes(copies[2].read_bytes()[:-10])
    copies[1].write_bytes(b"")
    store.pointer_fault = raises(StoreUnavailable("gone"))  # type: ignore[assignment]
    client = Client(store, "production", disk=tmp_path).start()
    assert (temperature(client), client.state.release, client.state.source) == (0.3, 3, "disk")
    client.close()


@pytest.mark.parametrize("damage", ["bit", "cut", "empty", "symlink", "folder", "pointer", "unreadable"])
def test_a_damaged_disk_copy_is_passed_over(store: FaultyStore, tmp_path: Path, damage: str) -> None:
    store.publish(5, GOOD)
    Client(store, "production", disk=tmp_path).refresh()
    (path,) = (tmp_path / "production").iterdir()
    content = path.read_bytes()
    path.unlink()
    if damage == "symlink":
        (tmp_path / "elsewhere").write_bytes(content)
        path.symlink_to(tmp_path / "elsewhere")
    elif damage == "folder":
        path.mkdir()
    else:
        path.write_bytes(
            {
                "bit": content[:-50] + bytes([content[-50] ^ 1]) + content[-49:],
                "cut": content[:-1],
                "empty": b"",
                "pointer": b"{}\n" + content.partition(b"\n")[2],
                "unreadable": b"\xff" * 500,
            }[damage]
        )
    client = Client(store, "production", disk=tmp_path)
    store.pointer_fault = raises(StoreUnavailable("gone"))  # type: ignore[assignment]
    client.start()
    assert client.snapshot is None
    store.heal()
    assert client.refresh()
    assert temperature(client) == 0.5
    client.close()


def test_a_disk_that_cannot_be_written_is_said_and_harms_nothing(store: FaultyStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    store.publish(5, GOOD)
    client = Client(store, "production", disk=tmp_path / "file")
    assert client.refresh()
    assert temperature(client) == 0.5
    assert client.state.disk_error
    assert client.state.last_error is None


def test_a_release_that_could_not_be_written_is_written_when_the_disk_is_well_again(
    store: FaultyStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    in_the_way = tmp_path / "production" / f"000000000005.reader{READER}.release"
    in_the_way.mkdir(parents=True)
    store.publish(5, GOOD)
    client = Client(store, "production", disk=tmp_path, clock=clock)
    for _ in range(5):
        assert client.refresh()
        clock.now += 1000
        assert client.state.disk_error, "it does not become well by waiting"
    assert not client.state.promoted
    assert len(caplog.messages) == 1
    in_the_way.rmdir()
    client.refresh()
    assert (client.state.disk_error, client.state.promoted) == (None, True)
    (copy,) = (tmp_path / "production").iterdir()
    assert copy.suffix == ".good"


def test_a_release_from_disk_keeps_an_older_one_in_the_store_out(store: FaultyStore, tmp_path: Path) -> None:
    store.publish(5, GOOD)
    Client(store, "production", disk=tmp_path).refresh()
    restored = FaultyStore()
    restored.publish(3, NEXT)
    client = Client(restored, "production", disk=tmp_path).start()
    assert not client.refresh()
    assert temperature(client) == 0.5
    client.close()


def test_a_release_is_the_first_choice_of_a_later_start_once_it_was_used_for_a_while(
    store: FaultyStore, tmp_path: Path
) -> None:
    clock = Clock()
    client = Client(store, "production", disk=tmp_path, clock=clock)
    store.publish(5, GOOD)
    client.refresh()
    clock.now += 299
    client.refresh()
    promoted = [client.state.promoted]
    clock.now += 1
    client.refresh()
    promoted.append(client.state.promoted)
    assert promoted == [False, True]
    store.publish(6, NEXT)
    client.refresh()
    assert (client.state.release, client.state.promoted) == (6, False)

    later = Client(gone(store), "production", disk=tmp_path).start()

    assert (later.state.release, later.state.source, later.state.promoted) == (5, "disk", True)
    store.heal()
    assert later.refresh()
    assert (later.state.release, later.state.source) == (6, "store")
    later.close()


def test_a_release_that_was_followed_by_a_refused_one_is_not_promoted(
    store: FaultyStore, tmp_path: Path
) -> None:
    clock = Clock()
    client = Client(store, "production", disk=tmp_path, clock=clock)
    store.publish(5, GOOD)
    client.refresh()
    store.publish(6, b"rubbish")
    client.refresh()
    clock.now += 1000
    client.refresh()
    assert (client.state.release, client.state.promoted) == (5, False)
    store.publish(7, NEXT)
    client.refresh()
    clock.now += 300
    client.refresh()
    assert (client.state.release, client.state.promoted) == (7, True)


def test_a_store_that_goes_away_is_no_fault_of_the_release(store: FaultyStore, tmp_path: Path) -> None:
    clock = Clock()
    client = Client(store, "production", disk=tmp_path, clock=clock)
    store.publish(5, GOOD)
    client.refresh()
    gone(store)
    clock.now += 300
    client.refresh()
    assert client.state.promoted


def test_a_release_from_disk_has_to_be_confirmed_before_it_counts_as_used(
    store: FaultyStore, tmp_path: Path
) -> None:
    store.publish(5, GOOD)
    Client(store, "production", disk=tmp_path).refresh()
    clock = Clock()
    client = Client(gone(store), "production", disk=tmp_path, clock=clock)
    client.refresh()
    clock.now += 1000
    client.refresh()
    assert (client.state.source, client.state.promoted) == ("disk", False)
    store.heal()
    client.refresh()
    clock.now += 300
    client.refresh()
    assert client.state.promoted


def test_what_the_store_has_is_served_from_the_start_although_the_disk_has_something(
    store: FaultyStore, tmp_path: Path
) -> None:
    store.publish(5, GOOD)
    Client(store, "production", disk=tmp_path).refresh()
    store.publish(6, NEXT)
    with Client(store, "production", disk=tmp_path, poll_seconds=3600) as client:
        assert (client.state.release, client.state.source) == (6, "store")


def test_a_bundle_is_served_where_neither_store_nor_disk_has_anything(
    store: FaultyStore, tmp_path: Path
) -> None:
    store.publish(5, GOOD)
    bundle = tmp_path / "bundle"
    bundle.write_bytes(make_bundle(store, "production"))
    link = tmp_path / "mounted"
    link.symlink_to(bundle)
    client = Client(gone(store), "production", disk=tmp_path / "disk", bootstrap=link).start()
    assert (temperature(client), client.state.release, client.state.source) == (0.5, 5, "bootstrap")
    store.heal()
    store.publish(6, NEXT)
    assert client.refresh()
    client.close()
    again = Client(gone(store), "production", disk=tmp_path / "disk", bootstrap=link).start()
    assert (again.state.release, again.state.source) == (6, "disk")
    again.close()


@pytest.mark.parametrize("content", [b"", b"{}", b"{}\n{}", b"\xff" * 99])
def test_a_damaged_bundle_is_passed_over(store: FaultyStore, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bundle").write_bytes(content)
    client = Client(gone(store), "production", bootstrap=tmp_path / "bundle").start()
    assert client.state.source == "none"
    client.close()


def test_a_bundle_is_not_made_of_what_a_client_would_refuse(store: FaultyStore) -> None:
    with pytest.raises(SnapshotRefused, match="no release"):
        make_bundle(store, "production")
    store.publish(5, b'{"entries":{},"prompts":{},"schema":1}')
    with pytest.raises(SnapshotRefused, match="empty"):
        make_bundle(store, "production")

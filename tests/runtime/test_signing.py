"""Signatures: what is covered, what is required, and how keys are changed."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from controlplane.runtime import Client, Pointer
from controlplane.runtime.acceptance import PointerRefused
from controlplane.runtime.bootstrap import make_bundle
from controlplane.runtime.signing import (
    SignatureRefused,
    Signer,
    SigningKeyError,
    Verifier,
    new_key_pair,
    signed_bytes,
)
from tests.runtime.faults import FaultyStore, pointer_to
from tests.runtime.serving import GOOD, NEXT, gone, temperature

OLD, NEW, OTHER = (new_key_pair(key_id) for key_id in ("old", "new", "other"))


def signer(pair: Any = OLD) -> Signer:
    found = Signer.from_environment({"CONTROLPLANE_SIGNING_KEY": pair.signing})
    assert found is not None
    return found


def verifier(*pairs: Any) -> Verifier:
    return Verifier.from_environment({"CONTROLPLANE_PUBLIC_KEYS": ",".join(pair.public for pair in pairs)})


def test_what_was_signed_is_accepted() -> None:
    signed = signer().sign(pointer_to(GOOD, 5))
    verifier(OLD).verify(signed)
    assert signed.key_id == "old"
    assert Pointer.from_json(signed.to_json()) == signed


def test_without_keys_nothing_has_to_be_signed() -> None:
    nobody = Verifier.from_environment({})
    assert not nobody.required
    nobody.verify(pointer_to(GOOD, 5))
    nobody.verify(pointer_to(GOOD, 5, key_id="x", signature="rubbish"))


CHANGES: dict[str, Any] = {
    "environment": "staging",
    "release": 6,
    "sha256": "0" * 64,
    "size": 1,
    "schema": 2,
    "minimum_reader": 0,
    "published_at": "2027-01-01T00:00:00Z",
    "allow_shrink": True,
    "key_id": "new",
}


def test_every_field_of_a_pointer_is_tried_below() -> None:
    assert {*CHANGES, "signature"} == set(Pointer.__struct_fields__)


@pytest.mark.parametrize("field", CHANGES)
def test_no_field_can_be_changed_under_a_signature(field: str) -> None:
    signed = signer().sign(pointer_to(GOOD, 5))
    changed = msgspec.structs.replace(signed, **{field: CHANGES[field]})
    with pytest.raises(PointerRefused):
        verifier(OLD, NEW).verify(changed)


@pytest.mark.parametrize("signature", [None, "", "rubbish", "é", "AAAA", "A" * 88])
def test_a_signature_that_is_none_is_refused(signature: str | None) -> None:
    signed = msgspec.structs.replace(signer().sign(pointer_to(GOOD, 5)), signature=signature)
    with pytest.raises(PointerRefused):
        verifier(OLD).verify(signed)


def test_a_key_that_is_not_known_is_refused_and_named() -> None:
    with pytest.raises(PointerRefused, match="'other', which is not known"):
        verifier(OLD, NEW).verify(signer(OTHER).sign(pointer_to(GOOD, 5)))


def test_a_pointer_s_signature_is_not_a_document_s() -> None:
    signed = signer().sign(pointer_to(GOOD, 5))
    with pytest.raises(SignatureRefused, match="not what the key"):
        verifier(OLD).verify_document({**msgspec.to_builtins(signed)})


def test_signed_bytes_do_not_change_between_versions_of_this_library() -> None:
    pointer = pointer_to(b"x", 5, key_id="k", published_at="2026-11-22T10:00:00Z")
    assert signed_bytes(pointer) == (
        b"controlplane pointer 1\n"
        b'{"allow_shrink":false,"environment":"production","key_id":"k","minimum_reader":1,'
        b'"published_at":"2026-11-22T10:00:00Z","release":5,"schema":1,'
        b'"sha256":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","size":1}'
    )


@pytest.mark.parametrize("text", ["x", "x:", ":AAAA", "x:AAAA", "a b:" + "A" * 43 + "=", "x:" + "é" * 44])
def test_a_key_that_is_none_stops_the_start_and_is_not_shown(text: str) -> None:
    for variable, read in (
        ("CONTROLPLANE_PUBLIC_KEYS", Verifier.from_environment),
        ("CONTROLPLANE_SIGNING_KEY", Signer.from_environment),
    ):
        with pytest.raises(SigningKeyError, match=variable) as told:
            read({variable: text})
        assert text not in str(told.value) or len(text) < 3
    with pytest.raises(ValueError, match="32 bytes"):
        Client(FaultyStore(), "production", environ={"CONTROLPLANE_PUBLIC_KEYS": text})


def test_keys_may_stand_in_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{OLD.signing}\n")
    (tmp_path / "keys").write_text(f"{NEW.public}, {OLD.public}\n")
    found = Signer.from_environment({"CONTROLPLANE_SIGNING_KEY_FILE": str(tmp_path / "key")})
    assert found is not None
    assert found.public == OLD.public
    Verifier.from_environment({"CONTROLPLANE_PUBLIC_KEYS_FILE": str(tmp_path / "keys")}).verify(
        found.sign(pointer_to(GOOD, 5))
    )


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_file_without_keys_does_not_mean_that_nothing_has_to_be_signed(
    tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "keys").write_text(content)
    with pytest.raises(SigningKeyError, match="CONTROLPLANE_PUBLIC_KEYS_FILE"):
        Verifier.from_environment({"CONTROLPLANE_PUBLIC_KEYS_FILE": str(tmp_path / "keys")})


def test_a_key_named_twice_or_in_two_places_is_refused() -> None:
    with pytest.raises(SigningKeyError, match="twice"):
        verifier(OLD, OLD)
    with pytest.raises(SigningKeyError, match="both set"):
        Signer.from_environment(
            {"CONTROLPLANE_SIGNING_KEY": OLD.signing, "CONTROLPLANE_SIGNING_KEY_FILE": "/x"}
        )


# --- a client with keys -----------------------------------------------------------------------------------------------


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


def put(store: FaultyStore, release: int, data: bytes, pair: Any) -> Pointer:
    pointer = signer(pair).sign(pointer_to(data, release))
    store.write_snapshot("production", pointer.sha256, data)
    assert store.move_pointer(pointer)
    return pointer


def test_keys_are_changed_while_releases_go_on(store: FaultyStore) -> None:
    put(store, 1, GOOD, OLD)
    before = Client(store, "production", verifier=verifier(OLD))
    during = Client(store, "production", verifier=verifier(NEW, OLD))
    assert before.refresh()
    assert during.refresh()
    assert during.state.signed_by == "old"
    put(store, 2, NEXT, NEW)
    after = Client(store, "production", verifier=verifier(NEW))
    assert not before.refresh()
    assert (before.state.release, before.state.last_error) == (
        1,
        "release 2 is signed with the key 'new', which is not known here",
    )
    assert during.refresh()
    assert after.refresh()
    assert during.state.signed_by == after.state.signed_by == "new"


def test_who_configures_no_key_reads_signed_releases_as_before(store: FaultyStore) -> None:
    put(store, 1, GOOD, OLD)
    client = Client(store, "production", environ={})
    assert client.refresh()
    assert client.state.signed_by is None


def test_what_lies_on_disk_or_in_a_bundle_must_be_signed_too(store: FaultyStore, tmp_path: Path) -> None:
    store.publish(1, GOOD)
    Client(store, "production", disk=tmp_path).refresh()
    (tmp_path / "bundle").write_bytes(make_bundle(store, "production"))
    gone(store)
    client = Client(store, "production", disk=tmp_path, bootstrap=tmp_path / "bundle", verifier=verifier(OLD))
    client.refresh()
    assert client.state.source == "none"
    trusting = Client(store, "production", disk=tmp_path)
    trusting.refresh()
    assert temperature(trusting) == 0.5


def test_a_signed_copy_on_disk_is_served(store: FaultyStore, tmp_path: Path) -> None:
    put(store, 1, GOOD, OLD)
    Client(store, "production", disk=tmp_path, verifier=verifier(OLD)).refresh()
    client = Client(gone(store), "production", disk=tmp_path, verifier=verifier(NEW, OLD))
    client.refresh()
    assert (client.state.source, client.state.signed_by) == ("disk", "old")


def test_a_signed_release_that_nobody_should_have_signed_is_not_served_for_long(
    store: FaultyStore, tmp_path: Path
) -> None:
    """A start with nothing else believes the signature first and looks at every entry then."""
    from tests.runtime.test_client_refusals import without_model

    put(store, 1, GOOD, OLD)
    Client(store, "production", disk=tmp_path, verifier=verifier(OLD)).refresh()
    bad = put(store, 2, without_model(), OLD)
    cold = Client(store, "production", verifier=verifier(OLD))
    assert not cold.refresh()
    assert (cold.snapshot, cold.state.quarantined) == (None, bad.sha256)
    downloads = store.downloads
    assert not cold.refresh()
    assert store.downloads == downloads, "it is not tried again"
    kept = Client(store, "production", disk=tmp_path, verifier=verifier(OLD))
    assert not kept.refresh()
    assert (kept.state.release, kept.state.quarantined) == (1, bad.sha256)
    put(store, 3, NEXT, OLD)
    assert cold.refresh()
    assert kept.refresh()


def signed_anew(store: FaultyStore, pointer: Pointer, pair: Any) -> None:
    """The same release under another key: what a publisher does in place when keys are changed."""
    plain = msgspec.structs.replace(pointer, published_at="2026-11-23T10:00:00Z")
    store.pointer_fault = lambda: signer(pair).sign(plain)


def test_a_release_that_is_signed_anew_is_kept_under_the_new_key(store: FaultyStore, tmp_path: Path) -> None:
    pointer = put(store, 1, GOOD, OLD)
    client = Client(store, "production", disk=tmp_path, verifier=verifier(NEW, OLD))
    assert client.refresh()
    signed_anew(store, pointer, NEW)
    assert client.refresh()
    assert (client.state.signed_by, store.downloads) == ("new", 1)
    later = Client(gone(store), "production", disk=tmp_path, verifier=verifier(NEW))
    later.refresh()
    assert (later.state.source, later.state.signed_by) == ("disk", "new")


def test_a_refused_release_is_not_fetched_again_because_it_is_signed_anew(store: FaultyStore) -> None:
    put(store, 1, GOOD, OLD)
    client = Client(store, "production", verifier=verifier(NEW, OLD))
    assert client.refresh()
    pointer = signer(OLD).sign(pointer_to(b"rubbish", 2))
    store.publish(2, b"rubbish", key_id=pointer.key_id, signature=pointer.signature)
    client.refresh()
    signed_anew(store, pointer, NEW)
    client.refresh()
    assert client.state.quarantined == pointer.sha256
    assert (client.state.release, store.downloads) == (1, 2)


@pytest.mark.parametrize("text", [",", " , ,"])
def test_a_list_of_no_keys_does_not_mean_that_nothing_has_to_be_signed(text: str) -> None:
    with pytest.raises(SigningKeyError, match="holds no key"):
        Verifier.from_environment({"CONTROLPLANE_PUBLIC_KEYS": text})

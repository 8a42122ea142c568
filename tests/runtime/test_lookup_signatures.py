"""The look-up source with public keys: what was not signed with one of them is not served."""

from typing import Any

import pytest

from controlplane.runtime import Pointer, canonical
from controlplane.runtime.lookup.cards import card_key, seal
from controlplane.runtime.signing import Signer, Verifier, new_key_pair
from tests.runtime.lookups import COACHING, RENAMED, Bench
from tests.runtime.publishing import ENVIRONMENT

KEYS = new_key_pair("k1"), new_key_pair("k2")


def signer(place: int) -> Signer:
    made = Signer.from_environment({"CONTROLPLANE_SIGNING_KEY": KEYS[place].signing})
    assert made is not None
    return made


def verifier(*places: int) -> Verifier:
    return Verifier.from_environment(
        {"CONTROLPLANE_PUBLIC_KEYS": ",".join(KEYS[place].public for place in places)}
    )


def test_with_a_key_signed_cards_are_served() -> None:
    for known in ((0,), (1, 0)):
        bench = Bench(signer=signer(0), verifier=verifier(*known))

        assert bench.source.view(COACHING, "acme") is not None


@pytest.mark.parametrize("by", [None, 1])
def test_with_a_key_other_cards_are_not_served(by: int | None) -> None:
    bench = Bench(signer=signer(0), verifier=verifier(0))
    before = bench.source.view(COACHING, "acme")
    pointer = bench.publish(RENAMED)
    card = canonical.loads(bench.inner.read_entry(ENVIRONMENT, card_key(COACHING), at=2) or b"")
    raws = {key: canonical.dumps(document) for key, document in card["entries"].items()}
    forged = seal(
        raws,
        environment=ENVIRONMENT,
        key=card_key(COACHING),
        release=pointer.release,
        signer=None if by is None else signer(by),
    )
    bench.inner.write_entries(ENVIRONMENT, 2, {card_key(COACHING): forged})
    bench.pass_time(6)

    assert bench.source.view(COACHING, "acme") is before
    assert "signed" in (bench.source.state.last_error or "")


@pytest.mark.parametrize("change", ["key", "entries", "release"])
def test_a_signed_card_cannot_be_altered_or_shown_elsewhere(change: str) -> None:
    bench = Bench(signer=signer(0), verifier=verifier(0))
    card = canonical.loads(bench.inner.read_entry(ENVIRONMENT, card_key(COACHING), at=1) or b"")
    other: dict[str, Any] = {"key": card_key("ROLLOUT"), "entries": {}, "release": 0}
    place = card_key("ROLLOUT" if change == "key" else COACHING)
    bench.inner.write_entries(ENVIRONMENT, 1, {place: canonical.dumps({**card, change: other[change]})})

    assert bench.source.view(place.split("/")[1]) is None


def test_with_a_key_a_pointer_that_is_not_signed_is_not_followed() -> None:
    bench = Bench(signer=signer(0), verifier=verifier(0))
    before = bench.source.view(COACHING, "acme")
    live = bench.inner.read_pointer(ENVIRONMENT)
    assert live is not None
    bare = Pointer(environment=ENVIRONMENT, release=2, sha256=live.sha256, size=live.size)
    bench.inner.move_pointer(bare)
    bench.pass_time(6)

    assert bench.source.view(COACHING, "acme") is before
    assert bench.source.state.release == 1

"""Cards are what a full set would be, whatever changed on the way; and the worker writes only those that a change touches."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from controlplane.errors import Refused
from controlplane.releases.cards import Card, cards, problems
from controlplane.releases.export import NotReadableError, Outcome, reconcile
from controlplane.releases.saved import live_texts
from controlplane.runtime import canonical
from controlplane.runtime.lookup.cards import MAX_CARD_BYTES, SHARED, card_key, seal, signed_with
from controlplane.runtime.signing import Signer, new_key_pair
from controlplane.runtime.stores.memory import MemoryStore
from tests.releases.changing import PREMIUM, move, publish_saved, save_prompt, two_variants
from tests.releases.faults import FaultyStore, unavailable
from tests.releases.strategies import unhurried
from tests.runtime import releases
from tests.runtime.strategies import EntryMap, entry_maps

Texts = dict[str, bytes]
COACHING = card_key("COACHING_RESPONSE")


def texts_of(documents: Mapping[str, Any]) -> Texts:
    return {key: canonical.dumps(document) for key, document in documents.items()}


def touched(*states: Texts) -> list[tuple[str, bytes]]:
    """What a history of these states has of each key that ever changed, as the database keeps it."""
    found = []
    for key in sorted(set().union(*states)):
        history = [state.get(key) for state in states]
        if len(set(history)) > 1:
            found += [(key, text) for text in dict.fromkeys(history) if text is not None]
    return found


@settings(unhurried, max_examples=15)
@given(st.lists(entry_maps(), min_size=2, max_size=4), st.data())
def test_folding_what_each_change_writes_gives_the_full_set(
    history: list[EntryMap], data: st.DataObject
) -> None:
    states = [texts_of(one.documents) for one in history]
    held: dict[str, Card | None] = dict(cards(states[0]))
    reached = 0
    while reached < len(states) - 1:
        # A worker may bring several releases at once.
        following = data.draw(st.integers(reached + 1, len(states) - 1))
        held |= cards(states[following], touched(*states[reached : following + 1]))
        reached = following

    assert {key: card for key, card in held.items() if card is not None} == cards(states[-1])


@settings(unhurried, max_examples=20)
@given(entry_maps(), st.data())
def test_a_prompt_that_goes_to_another_interaction_leaves_the_card_it_was_in(
    drawn: EntryMap, data: st.DataObject
) -> None:
    before = texts_of(drawn.documents)
    key = data.draw(st.sampled_from([key for key in before if key.startswith("prompt/")]))
    codes = [key.partition("/")[2] for key in before if key.startswith("interaction/")]
    moved = {**drawn.documents[key], "interaction": data.draw(st.sampled_from(codes))}
    after = {**before, key: canonical.dumps(moved)}

    assert cards(before) | cards(after, touched(before, after)) == cards(after)


def test_a_card_has_what_a_call_may_need_and_nothing_else() -> None:
    live = texts_of(releases.documents())

    found = cards(live)

    everywhere = {key for key in live if key.startswith(("model/", "tier/"))}
    default = {"configuration/*/default/*", "prompt/coaching_response", "interaction/COACHING_RESPONSE"}
    gated = {"interaction/GATED", "gate/GATED", "prompt/gated", "configuration/GATED/default/*"}
    assert set(found[card_key("GATED")] or ()) == everywhere | default | gated
    assert set(found[SHARED] or ()) == everywhere | default
    assert set(found[card_key("COACHING_RESPONSE", "acme")] or ()) == {
        "configuration/COACHING_RESPONSE/default/acme",
        "configuration/COACHING_RESPONSE/premium/acme",
    }


def test_each_change_touches_as_few_cards_as_can_be() -> None:
    live = texts_of(releases.documents())
    general = {key for key in cards(live) if key.endswith("/*")}
    expected = {
        "configuration/COACHING_RESPONSE/premium/acme": {card_key("COACHING_RESPONSE", "acme")},
        "configuration/COACHING_RESPONSE/premium/*": {COACHING},
        "gate/GATED": {card_key("GATED")},
        "prompt/gated": {card_key("GATED")},
        "interaction/GATED": {card_key("GATED")},
        "model/SMALL": general,
        "tier/free": general,
        "configuration/*/default/*": general,
        "prompt/coaching_response": general,  # the environment's default uses it
    }
    for key, wanted in expected.items():
        assert set(cards(live, [(key, live[key])])) == wanted


def test_a_card_that_is_too_large_is_told_with_its_size() -> None:
    half = {"interaction/X": b"x" * (MAX_CARD_BYTES // 2)}

    assert problems({card_key("X"): half, SHARED: None}) == {}
    found = problems({card_key("X"): {**half, "gate/X": b"y" * (MAX_CARD_BYTES // 2)}})

    assert set(found) == {card_key("X")}
    assert "393,235 bytes; one item of the store holds 393,216" in found[card_key("X")]


def test_the_largest_card_with_a_signature_fits_into_an_item() -> None:
    signer = Signer.from_environment({"CONTROLPLANE_SIGNING_KEY": new_key_pair("k" * 64).signing})
    key = card_key("X" * 64, "ü" * 128)
    entries = {
        f"configuration/{'X' * 64}/{'t' * 64}/{'ü' * 128}": json.dumps("x" * (MAX_CARD_BYTES - 400)).encode()
    }
    assert not problems({key: entries})

    data = seal(entries, environment="e" * 63, key=key, release=10**12 - 1, signer=signer)

    assert len(data) + len(f"{'e' * 63}#{key}".encode()) < 400 * 1024 - 4 * 1024


def held(engine: Engine, store: MemoryStore, number: int) -> None:
    """Every card in the store is that of the release."""
    with Session(engine) as session:
        live = live_texts(session, "production", at=number)
        ever = cards(live_texts(session, "production", at=1)).keys() | cards(live).keys()
    full = cards(live)
    for key in ever:
        data = store.read_entry("production", key, at=number)
        found = None if data is None else canonical.loads(data)["entries"]
        card = full.get(key)
        assert found == (None if card is None else {one: canonical.loads(text) for one, text in card.items()})


def test_the_worker_writes_the_cards_of_a_release(engine: Engine) -> None:
    store = MemoryStore()
    reconcile(engine, store, "production")
    held(engine, store, 1)

    with Session(engine) as session:
        acme = {"configuration/COACHING_RESPONSE/premium/acme": two_variants(session, "production")}
        move(session, "production", dict(acme))
    reconcile(engine, store, "production")
    held(engine, store, 2)

    with Session(engine) as session:
        save_prompt(session)
        publish_saved(session, "production")  # not brought to the store by itself
        move(session, "production", {PREMIUM: None, "configuration/COACHING_RESPONSE/premium/acme": None})
    reconcile(engine, store, "production")
    held(engine, store, 4)


class Written(FaultyStore):
    """Keeps what is written."""

    def __init__(self, inner: MemoryStore) -> None:
        super().__init__(inner)
        self.keys: list[str] = []

    def write_entries(self, environment: str, release: int, documents: Mapping[str, bytes | None]) -> None:
        super().write_entries(environment, release, documents)
        self.keys += documents


def test_a_move_of_a_share_writes_one_entry_and_one_card(engine: Engine) -> None:
    store = MemoryStore()
    reconcile(engine, store, "production")
    watched = Written(store)
    with Session(engine) as session:
        move(session, "production", {PREMIUM: two_variants(session, "production")})

    reconcile(engine, watched, "production")

    assert watched.keys == [PREMIUM, COACHING]


@pytest.mark.parametrize("published", [False, True])
def test_a_store_filled_before_there_were_cards_gets_all_of_them(engine: Engine, published: bool) -> None:
    store = MemoryStore()
    reconcile(engine, store, "production")
    with Session(engine) as session:
        every = cards(live_texts(session, "production"))
    store.write_entries("production", 1, dict.fromkeys(every))
    assert reconcile(engine, store, "production") is Outcome.CURRENT
    if published:
        with Session(engine) as session:
            move(session, "production", {PREMIUM: two_variants(session, "production")})

    assert reconcile(engine, store, "production", thorough=True) is Outcome.MOVED

    held(engine, store, 2 if published else 1)


def test_a_worker_that_ends_between_cards_leaves_no_store_that_looks_as_if_it_had_all(engine: Engine) -> None:
    inner = MemoryStore()
    reconcile(engine, inner, "production")
    with Session(engine) as session:
        every = cards(live_texts(session, "production"))
    inner.write_entries("production", 1, dict.fromkeys(every))
    store = FaultyStore(inner)

    def second() -> None:
        if store.calls.count("write_entries") == 2:
            unavailable()

    store.faults["before write_entries"] = second
    with pytest.raises(Exception, match="did not answer"):
        reconcile(engine, store, "production", thorough=True)
    assert inner.read_entry("production", COACHING, at=1) is not None

    assert reconcile(engine, inner, "production", thorough=True) is Outcome.MOVED

    held(engine, inner, 1)


def test_another_key_signs_all_cards_anew(engine: Engine) -> None:
    store = MemoryStore()
    reconcile(engine, store, "production")
    for number in (2, 3):
        signer = Signer.from_environment({"CONTROLPLANE_SIGNING_KEY": new_key_pair(f"k{number}").signing})
        with Session(engine) as session:
            move(
                session, "production", {PREMIUM: two_variants(session, "production") if number == 2 else None}
            )
            every = cards(live_texts(session, "production"))
        reconcile(engine, store, "production", signer=signer)

        found = {signed_with(store.read_entry("production", key, at=number) or b"") for key in every}
        assert found == {f"k{number}"}


def test_publishing_what_makes_a_card_too_large_is_refused(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlplane.releases.cards.MAX_CARD_BYTES", 1_000)
    with Session(engine) as session:
        document = two_variants(session, "production")
        with pytest.raises(Refused) as refused:
            move(session, "production", {PREMIUM: document})

    (message,) = refused.value.errors.values()
    assert "COACHING_RESPONSE/* may need comes to" in message


def test_a_release_whose_card_is_too_large_gets_no_pointer_and_says_why(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlplane.releases.cards.MAX_CARD_BYTES", 1_000)
    store = MemoryStore()

    with pytest.raises(NotReadableError, match="one item of the store holds 1,000"):
        reconcile(engine, store, "production")

    assert store.read_pointer("production") is None

"""The cards of a release: what a look-up source reads of it. `runtime.lookup.cards` says what stands in one, and why.

Pure. A change writes only the cards that it touches: a row of a tenant one, a prompt the one of its interaction, a model
or the environment's default one for each interaction. Folding what each release writes gives what a full set would.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from controlplane.runtime import entries
from controlplane.runtime.lookup.cards import MAX_CARD_BYTES, PREFIX, card_key

Texts = Mapping[str, bytes]
"""Documents by key as canonical JSON: most of them only go from one place to another, and are never decoded."""
Card = dict[str, bytes]
Cards = dict[str, Card | None]

_EVERYWHERE: Final = ("model", "tier")
_DEFAULT: Final = entries.configuration_key()


def cards(live: Texts, touched: Iterable[tuple[str, bytes]] | None = None) -> Cards:
    """Return the cards of a live set by key: all of them, or those that a change touches; None for one that is gone.

    `touched` has every key that changed, each with every document it had meanwhile, the one before the change included: a
    prompt that went to another interaction also changes the card it came from.
    """
    index = _Index(live)
    wanted = index.keys if touched is None else _touched(index, touched)
    return {key: index.card(key) if key in index.keys else None for key in sorted(wanted)}


def problems(made: Mapping[str, Card | None]) -> dict[str, str]:
    """Return what is wrong with cards as they would be written, in words, by key: one item of the table holds so much."""
    found = {}
    for key, card in made.items():
        size = sum(len(one) + len(text) for one, text in (card or {}).items())
        if size > MAX_CARD_BYTES:
            found[key] = (
                f"All that a call of {key.removeprefix(f'{PREFIX}/')} may need comes to {size:,} bytes; one item of the"
                f" store holds {MAX_CARD_BYTES:,}."
            )
    return found


def too_large(live: Texts, changed: Iterable[str]) -> dict[str, str]:
    """Return what `problems` says of the cards that these changes of a live set that is in order would write."""
    return problems(cards(live, [(key, live[key]) for key in changed if key in live]))


class _Prompt(msgspec.Struct):
    interaction: str


class _Reference(msgspec.Struct):
    code: str


class _Variant(msgspec.Struct):
    prompt: _Reference


class _Row(msgspec.Struct):
    variants: list[_Variant]


def _interaction_of(prompt: bytes) -> str:
    return msgspec.json.decode(prompt, type=_Prompt).interaction


class _Index:
    """A live set's keys, put in order once: a change of a model makes a card for every interaction."""

    def __init__(self, live: Texts) -> None:
        self.live = live
        self.rows: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.prompts: dict[str, list[str]] = defaultdict(list)
        self.everywhere: list[str] = []
        places = {(entries.ANY, entries.ANY)}
        for key, text in live.items():
            kind, *parts = key.split("/")
            if kind in _EVERYWHERE:
                self.everywhere.append(key)
            elif kind == "interaction":
                places.add((parts[0], entries.ANY))
            elif kind == "prompt":
                self.prompts[_interaction_of(text)].append(key)
            elif kind == "configuration" and key != _DEFAULT:
                self.rows[parts[0], parts[2]].append(key)
        self.keys = {card_key(*place) for place in places | self.rows.keys()}
        self.fallback = self._fallback()

    def shared_by_all(self, key: str) -> bool:
        """Say whether this entry stands in the card of every interaction."""
        return key.partition("/")[0] in _EVERYWHERE or key == _DEFAULT or key in self.fallback

    def card(self, key: str) -> Card:
        """Return the documents of one card, ordered by key."""
        _, interaction, tenant = key.split("/")
        found = set(self.rows.get((interaction, tenant), ()))
        if tenant == entries.ANY:
            found |= {entries.interaction_key(interaction), entries.gate_key(interaction)}
            found |= {*self.prompts.get(interaction, ()), *self.everywhere, *self.fallback}
        return {one: self.live[one] for one in sorted(found) if one in self.live}

    def _fallback(self) -> set[str]:
        """Return the keys of the environment's default row and of what it names, live or not."""
        text = self.live.get(_DEFAULT)
        if text is None:
            return set()
        row = msgspec.json.decode(text, type=_Row)
        prompts = {entries.prompt_key(variant.prompt.code) for variant in row.variants}
        named = {_interaction_of(self.live[key]) for key in prompts if key in self.live}
        return {_DEFAULT} | prompts | {entries.interaction_key(code) for code in named}


def _touched(index: _Index, touched: Iterable[tuple[str, bytes]]) -> set[str]:
    found: set[str] = set()
    for key, text in touched:
        kind, _, rest = key.partition("/")
        if index.shared_by_all(key):
            found |= {one for one in index.keys if one.endswith(f"/{entries.ANY}")}
        if kind in {"interaction", "gate"}:
            found.add(card_key(rest))
        elif kind == "prompt":
            found |= {
                card_key(_interaction_of(one)) for one in (text, index.live.get(key)) if one is not None
            }
        elif kind == "configuration" and key != _DEFAULT:
            interaction, _, tenant = rest.split("/")
            found.add(card_key(interaction, tenant))
    return found

"""Tokens, cost and room in the context window of every configuration that a change concerns, now and then."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from controlplane.prompts import tokens
from controlplane.prompts.figures import NEARLY_FULL
from controlplane.registry import cost
from controlplane.releases import words
from controlplane.releases.compose import Document
from controlplane.releases.composed import Composed, Side, variants_of
from controlplane.releases.diff import EntryChange
from controlplane.releases.trials import Renders, interaction_of
from controlplane.runtime import bucketing


@dataclass(frozen=True)
class Size:
    """The tokens of a text with its usual input and with its longest one."""

    usual: int
    longest: int
    longest_input: str


@dataclass(frozen=True)
class Room:
    """What a text and its answer take of a model's window; `model` may be a fallback."""

    model: str
    is_fallback: bool
    text: int
    answer: int
    window: int
    longest_input: str

    @property
    def share(self) -> Decimal:
        """How full it is; more than 1 does not fit."""
        return Decimal(self.text + self.answer) / Decimal(self.window)

    @property
    def short(self) -> str:
        """As a cell of a table has it."""
        percent = f"{round(self.share * 100):,} %" if self.share >= Decimal("0.01") else "less than 1 %"
        return f"{percent} of {self.model}{', a fallback' if self.is_fallback else ''}"

    @property
    def words(self) -> str:
        """As a sentence has it."""
        with_what = f" (with “{self.longest_input}”)" if self.longest_input else ""
        fallback = ", a fallback," if self.is_fallback else ""
        return (
            f"about {self.text:,} tokens of text{with_what} and {self.answer:,} out, of {self.window:,} "
            f"that {self.model}{fallback} takes"
        )


@dataclass(frozen=True)
class Figures:
    """One configuration: tokens in by its usual input, dollars for 1,000 calls, each variant by its share."""

    key: str
    name: str
    tokens_before: int | None
    tokens_after: int | None
    before: Decimal | None
    after: Decimal | None
    is_gone: bool
    rooms: tuple[Room, ...]
    too_many_out: tuple[str, ...]

    @property
    def change(self) -> str:
        """How the cost moves."""
        return cost.change_in_words(self.before, self.after)

    @property
    def fullest(self) -> Room | None:
        """The model that has the least room left."""
        return max(self.rooms, key=lambda room: room.share, default=None)

    @property
    def crowded(self) -> list[Room]:
        """The models that a text and its answer fill, or more."""
        return [room for room in self.rooms if room.share > NEARLY_FULL]

    @property
    def before_words(self) -> str:
        """What 1,000 calls cost now."""
        return "" if self.tokens_before is None else cost.dollars(self.before)

    @property
    def after_words(self) -> str:
        """What 1,000 calls would cost."""
        return cost.dollars(self.after)

    @property
    def tone(self) -> str:
        """The tone of its room: of the fullest model."""
        fullest = self.fullest
        if self.too_many_out or (fullest and fullest.share > 1):
            return "failed"
        return "paused" if self.crowded else "neutral"


def figures(composed: Composed, renders: Renders) -> list[Figures]:
    """Return the figures of every configuration that a change concerns; raises `RenderBusy`.

    Beyond the number of texts that are rendered, the template's own length stands in for what becomes of it.
    """
    return [_of(composed, renders, change) for change in _configurations(composed)]


def _configurations(composed: Composed) -> Iterator[EntryChange]:
    """Yield the configurations that change, and those that stay as they are while a text or a model of theirs changes."""
    yielded = set()
    for change in composed.changes:
        if change.key.startswith("configuration/"):
            yielded.add(change.key)
            yield change
    for change in composed.changes:
        kind, _, code = change.key.partition("/")
        if kind not in {"prompt", "model"} or change.after is None:
            continue
        for key, document in composed.after.configurations_naming(code):
            if key not in yielded:
                yielded.add(key)
                yield EntryChange(key, change.kind, (), composed.before.document(key), document)


def _of(composed: Composed, renders: Renders, change: EntryChange) -> Figures:
    before, after = (
        _sized(side, renders, change.key, document)
        for side, document in ((composed.before, change.before), (composed.after, change.after))
    )
    return Figures(
        key=change.key,
        name=words.entry_name(change.key),
        tokens_before=_tokens(before),
        tokens_after=_tokens(after),
        before=_cost(composed.before, before),
        after=_cost(composed.after, after),
        is_gone=change.after is None,
        rooms=tuple(room for variant, size in after for room in _rooms(composed.after, variant, size)),
        too_many_out=tuple(said for variant, _ in after for said in _too_many_out(composed.after, variant)),
    )


_Sized = list[tuple[Document, Size]]


def _sized(side: Side, renders: Renders, key: str, document: Document | None) -> _Sized:
    return [(variant, _size(side, renders, key, variant)) for variant in variants_of(document)]


def _size(side: Side, renders: Renders, key: str, variant: Document) -> Size:
    reference = variant.get("prompt")
    body = side.body(reference) if isinstance(reference, dict) else None
    if body is None or not isinstance(reference, dict):
        return Size(0, 0, "")
    interaction = interaction_of(side, key, reference)
    declared = side.parameters(interaction)
    outcomes = renders.of(body, declared, renders.inputs(interaction, declared))
    made = [(each.text, each.input) for each in outcomes or () if each.text is not None]
    if not made:
        about = tokens.estimate(body)
        return Size(about, about, "")
    usual = next((text for text, given in made if given.is_default), made[0][0])
    # By bytes: what needs many of them for a letter needs many tokens for it too, and counting tokens takes longer.
    longest, given = max(made, key=lambda each: len(each[0].encode()))
    return Size(tokens.estimate(usual), tokens.estimate(longest), given.name if len(made) > 1 else "")


def _tokens(sized: _Sized) -> int | None:
    """Return the tokens of one call, each variant by its share; None where there is no variant."""
    weighed = [(size.usual, bucketing.size(variant.get("ranges", ()))) for variant, size in sized]
    total = sum(share for _, share in weighed)
    return round(sum(count * share for count, share in weighed) / total) if total else None


def _cost(side: Side, sized: _Sized) -> Decimal | None:
    """Return dollars for 1,000 calls, each variant by its share; None when there is none or a price is not known."""
    total, shares = Decimal(0), 0
    for variant, size in sized:
        price = _price(side.model(str(variant.get("model"))))
        amount = cost.per_thousand_calls(price, max_tokens=variant.get("max_tokens"), input_tokens=size.usual)
        if amount is None:
            return None
        share = bucketing.size(variant.get("ranges", ()))
        total, shares = total + amount * share, shares + share
    return (total / shares).quantize(Decimal("0.0001")) if shares else None


def _price(model: Document | None) -> cost.Price | None:
    if model is None:
        return None
    return cost.Price(model.get("input_price_per_million"), model.get("output_price_per_million"))


def _models(side: Side, variant: dict[str, Any]) -> Iterator[tuple[str, Document, bool]]:
    chosen = str(variant.get("model"))
    for code in dict.fromkeys([chosen, *variant.get("fallbacks", ())]):
        model = side.model(code)
        if model and model.get("context_window") and model.get("max_output_tokens"):
            yield code, model, code != chosen


def _rooms(side: Side, variant: dict[str, Any], size: Size) -> Iterator[Room]:
    for code, model, is_fallback in _models(side, variant):
        # A fallback that gives less than the first choice is asked for no more than it gives.
        answer = min(variant.get("max_tokens") or 0, model["max_output_tokens"])
        yield Room(code, is_fallback, size.longest, answer, model["context_window"], size.longest_input)


def _too_many_out(side: Side, variant: dict[str, Any]) -> Iterator[str]:
    out = variant.get("max_tokens") or 0
    for code, model, _ in _models(side, variant):
        if out > model["max_output_tokens"]:
            yield f"{out:,} tokens out are asked of {code}, which gives {model['max_output_tokens']:,} at most"

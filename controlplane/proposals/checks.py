"""What is looked at before a proposal goes live, each with words and numbers: what is fine, what to weigh, what is wrong."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from controlplane.configurations import cost
from controlplane.prompts.preview import CHARACTERS_PER_TOKEN
from controlplane.prompts.render_pool import RenderBusy, RenderPool
from controlplane.proposals import samples, wording
from controlplane.proposals.composed import Composed, Side, variants_of
from controlplane.releases import cards, words
from controlplane.releases.compose import Document
from controlplane.releases.diff import EntryChange
from controlplane.runtime import bucketing
from controlplane.runtime.lookup.cards import MAX_CARD_BYTES
from controlplane.runtime.validate import PUBLISH

OK: Final = "ok"
WARNING: Final = "warning"
PROBLEM: Final = "problem"
# From here on more expensive calls are worth a thought, and a text comes near what a model can take.
_MUCH_DEARER: Final = Decimal("1.2")
_NEARLY_FULL: Final = Decimal("0.8")
_MOST_DETAILS: Final = 20


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: how it stands, in a few words for a line of them, and in a sentence."""

    name: str
    title: str
    state: str
    short: str
    sentence: str
    details: tuple[str, ...] = ()

    @property
    def tone(self) -> str:
        """The tone of its chip."""
        return {OK: "live", WARNING: "paused", PROBLEM: "failed"}[self.state]

    @property
    def sign(self) -> str:
        """Its sign."""
        return {OK: "circle-check", WARNING: "triangle-alert", PROBLEM: "octagon-x"}[self.state]


def content_checks(composed: Composed, pool: RenderPool) -> list[Check]:
    """Return what depends on the content and on what is live only; raises `RenderBusy`."""
    return [
        valid(composed),
        samples_render(composed, pool),
        cost_change(composed),
        context_window(composed),
        limits(composed),
    ]


def valid(composed: Composed) -> Check:
    """Whether everything holds together with what is live now: the rules of publishing, asked beforehand."""
    title = "Holds together with what is live"
    if not composed.changes:
        said = "Nothing would change: everything in it is live already."
        return Check("valid", title, WARNING, "nothing to change", said)
    found = [
        f"{words.entry_name(each.key)}: {each.message}" if each.key else each.message
        for each in composed.problems
    ]
    if found:
        count = wording.counted(len(found), "problem")
        return Check("valid", title, PROBLEM, count, f"Services would refuse it: {count}.", _some(found))
    total = len(composed.content.texts)
    changed = wording.counted(len(composed.changes), "entry")
    return Check(
        "valid",
        title,
        OK,
        "valid",
        f"{sentence(changed)} of {total:,} would change, and all of them fit together.",
    )


def samples_render(composed: Composed, pool: RenderPool) -> Check:
    """Whether each text renders with its interaction's declared examples, and without the optional ones."""
    title = "Samples render"
    found = samples.samples_of(composed)
    if not found:
        return Check("samples", title, OK, "no texts", "No template and no configuration is among it.")
    some = found[: samples.MOST_RENDERED]
    told = [(sample.name, samples.problem_of(pool, sample)) for sample in some]
    wrong = [f"{name}: {problem}" for name, problem in told if problem]
    good = f"{len(some) - len(wrong)} of {len(some)} samples"
    if wrong:
        return Check(
            "samples", title, PROBLEM, good, f"{good} render with the declared examples.", _some(wrong)
        )
    if len(found) > len(some):
        said = f"{good} render; the other {len(found) - len(some)} were not tried here."
        return Check("samples", title, WARNING, good, said)
    said = f"{good} render with the declared examples, with and without the optional ones."
    return Check("samples", title, OK, good, said)


def cost_change(composed: Composed) -> Check:
    """What a thousand calls cost before and after, by share of each variant."""
    title = "Cost"
    told, dearer, unknown, largest = [], False, 0, ""
    most = Decimal(0)
    for change in _configurations(composed):
        before = _cost(composed.before, change.before)
        after = _cost(composed.after, change.after)
        if after is None or before is None:
            unknown += after is None
            if after is not None:
                told.append(f"{words.entry_name(change.key)}: new, ${after:.2f}")
            continue
        moved = cost.change_in_words(before, after)
        if before == after:
            continue
        told.append(f"{words.entry_name(change.key)}: ${before:.2f} → ${after:.2f}, {moved}")
        dearer = dearer or after > before * _MUCH_DEARER
        if not largest or abs(after - before) > most:
            most, largest = abs(after - before), f"cost {moved}"
    basis = f"Per 1,000 calls, about, {cost.BASIS}."
    if not told and not unknown:
        return Check("cost", title, OK, "cost the same", "Calls cost what they cost now.")
    if not told:
        return Check("cost", title, WARNING, "cost not known", "The registry has no prices for these models.")
    said = f"{basis}{' Some prices are not known.' if unknown else ''}"
    return Check(
        "cost", title, WARNING if dearer or unknown else OK, largest or "cost known", said, _some(told)
    )


def context_window(composed: Composed) -> Check:
    """Whether each text, with its examples' size about, and its answer fit every model that may be asked."""
    title = "Context window"
    full: list[str] = []
    near: list[str] = []
    seen = 0
    for change in _configurations(composed):
        for variant in variants_of(change.after):
            for fault, severe in _crowded(composed.after, words.entry_name(change.key), variant):
                (full if severe else near).append(fault)
            seen += 1
    if full:
        return Check(
            "context",
            title,
            PROBLEM,
            "does not fit",
            "A text and its answer do not fit a model.",
            _some([*full, *near]),
        )
    if near:
        return Check(
            "context",
            title,
            WARNING,
            "nearly full",
            "A text and its answer fill most of a model’s window.",
            _some(near),
        )
    if not seen:
        return Check("context", title, OK, "context", "No configuration is among it.")
    return Check(
        "context", title, OK, "context fits", "Every text and its answer fit its model and every fallback."
    )


def limits(composed: Composed) -> Check:
    """Whether what would be written stays within what stores and readers take, with the numbers."""
    title = "Limits"
    after = composed.content
    touched = cards.cards(after.texts, _touched(composed))
    size = max(
        (sum(len(key) + len(text) for key, text in (card or {}).items()) for card in touched.values()),
        default=0,
    )
    wrong = list(cards.problems(touched).values())
    if len(after.data) > PUBLISH.snapshot_bytes:
        wrong.append(f"The snapshot has {len(after.data):,} bytes; {PUBLISH.snapshot_bytes:,} is the most.")
    numbers = (
        f"The snapshot has {len(after.data):,} bytes of at most {PUBLISH.snapshot_bytes:,}; the largest item that changes in the table "
        f"has {size:,} of at most {MAX_CARD_BYTES:,}."
    )
    if wrong:
        return Check("limits", title, PROBLEM, "too large", numbers, _some(wrong))
    return Check("limits", title, OK, "within limits", numbers)


def unmoved(moved: Sequence[str], base: int) -> Check:
    """Whether everything in it is still as it was when it was proposed."""
    title = "Not changed meanwhile"
    if moved:
        said = "Changed by a later release, in another way than is proposed. Choose what shall hold before it goes on."
        return Check("moved", title, PROBLEM, wording.counted(len(moved), "conflict"), said, _some(moved))
    since = f"release {base}" if base else "it was proposed"
    return Check(
        "moved", title, OK, f"not moved since {since}", f"Nothing of it was changed by others since {since}."
    )


def on_time(due_at: dt.datetime, zone: str, now: dt.datetime) -> Check:
    """How a scheduled time stands to now."""
    title = "Scheduled"
    when = wording.due_words(due_at, zone)
    if due_at < now:
        return Check(
            "time", title, WARNING, "due", f"It was due {when}; the worker takes it up as soon as it can."
        )
    return Check("time", title, OK, "scheduled", f"Goes live {when}. All of this is checked once more then.")


def not_now(busy: RenderBusy) -> list[Check]:
    """What stands in place of the checks while no worker is free to render."""
    return [Check("samples", "Samples render", WARNING, "not checked", str(busy))]


def sentence(text: str) -> str:
    """Return a text as the beginning of a sentence."""
    return wording.sentence_case(text)


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


def _touched(composed: Composed) -> list[tuple[str, bytes]]:
    sides = (composed.live.content.texts, composed.content.texts)
    return [
        (change.key, side[change.key]) for change in composed.changes for side in sides if change.key in side
    ]


def _cost(side: Side, document: Document | None) -> Decimal | None:
    """Return dollars for 1,000 calls, each variant by its share; None when there is none or a price is not known."""
    total, shares = Decimal(0), 0
    for variant in variants_of(document):
        model = side.model(str(variant.get("model")))
        price = _price(model)
        amount = cost.per_thousand_calls(price, max_tokens=variant.get("max_tokens"))
        if amount is None:
            return None
        share = bucketing.size(variant.get("ranges", ()))
        total, shares = total + amount * share, shares + share
    return total / shares if shares else None


def _price(model: Document | None) -> cost.Price | None:
    if model is None:
        return None
    return cost.Price(model.get("input_price_per_million"), model.get("output_price_per_million"))


def _crowded(side: Side, name: str, variant: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Yield what is said of each model whose window the text and the answer fill; with whether it is too much."""
    body = side.body(variant.get("prompt") or {}) or ""
    tokens = -(-len(body) // CHARACTERS_PER_TOKEN)
    for code in dict.fromkeys([str(variant.get("model")), *variant.get("fallbacks", ())]):
        model = side.model(code) or {}
        window, most_out = model.get("context_window"), model.get("max_output_tokens")
        if not window or not most_out:
            continue
        out = variant.get("max_tokens") or 0
        if out > most_out:
            yield f"{name}: {out:,} tokens out are asked of {code}, which gives {most_out:,} at most", True
        if tokens + out > window * _NEARLY_FULL:
            said = f"{name}: about {tokens:,} tokens of text and {out:,} out, of {window:,} that {code} takes"
            yield said, tokens + out > window


def _some(details: Sequence[str]) -> tuple[str, ...]:
    rest = len(details) - _MOST_DETAILS
    return (*details[:_MOST_DETAILS], f"and {rest:,} more") if rest > 0 else tuple(details)

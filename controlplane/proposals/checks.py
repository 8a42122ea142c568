"""What is looked at before a proposal goes live, each with words and numbers: what is fine, what to weigh, what is wrong."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from controlplane.prompts.render_pool import RenderBusy
from controlplane.proposals import wording
from controlplane.registry import cost
from controlplane.releases import cards, figures, words
from controlplane.releases.composed import Composed
from controlplane.releases.figures import Figures
from controlplane.releases.trials import Renders, changing_texts
from controlplane.runtime.lookup.cards import MAX_CARD_BYTES
from controlplane.runtime.validate import PUBLISH

OK: Final = "ok"
WARNING: Final = "warning"
PROBLEM: Final = "problem"
# From here on more expensive calls are worth a thought.
_MUCH_DEARER: Final = Decimal("1.2")
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


def content_checks(composed: Composed, renders: Renders) -> list[Check]:
    """Return what depends on the content, on the samples and on what is live only; raises `RenderBusy`."""
    found = figures.figures(composed, renders)
    return [
        valid(composed),
        samples_render(composed, renders),
        contract_kept(composed, renders),
        cost_change(found),
        context_window(found),
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


def samples_render(composed: Composed, renders: Renders) -> Check:
    """Whether each text that changes renders with the samples of its interaction; those it must render with decide."""
    title = "Samples render"
    found = changing_texts(composed)
    if not found:
        return Check("samples", title, OK, "no texts", "No text that a model gets is changed by it.")
    must: list[str] = []
    may: list[str] = []
    tried = passed = untried = 0
    for text in found:
        inputs = renders.inputs(text.interaction, text.declared, before=text.declared_before)
        outcomes = renders.of(text.after, text.declared, inputs)
        untried += len(inputs) - len(outcomes or ())
        for outcome in outcomes or ():
            tried += 1
            passed += outcome.problem is None
            if outcome.problem is not None:
                told = f"{text.name}, “{outcome.input.name}”: {outcome.told}"
                (must if outcome.input.required else may).append(told)
    texts = wording.counted(len(found), "text")
    good = f"{passed} of {tried} renders"
    some = _some([*must, *may])
    if must:
        said = f"Publishing is refused: {wording.counted(len(must), 'render')} of {texts} {'fails' if len(must) == 1 else 'fail'} where none may."
        return Check("samples", title, PROBLEM, good, said, some)
    if may:
        said = f"{good} of {texts} work; those that fail are of samples that need not pass."
        return Check("samples", title, WARNING, good, said, some)
    if untried:
        said = f"{good} of {texts} work; {untried:,} more were not tried here. Publishing tries all that must pass."
        return Check("samples", title, WARNING, good, said)
    return Check("samples", title, OK, good, f"{good} of {texts} work.")


def contract_kept(composed: Composed, renders: Renders) -> Check:
    """Whether each text that changes fits the parameters it would go live with, by looking at it."""
    title = "Fits its parameters"
    told: dict[bool, list[str]] = {True: [], False: []}
    for text, verdicts in renders.verdicts(changing_texts(composed)):
        for each in verdicts:
            where = f"line {each.line}, column {each.column}: " if each.line and each.column else ""
            told[each.is_error].append(f"{text.name}: {where}{each.message}")
    errors, warnings = told[True], told[False]
    if not errors and not warnings:
        return Check(
            "contract", title, OK, "fits", "What texts use is declared, and what is optional is guarded."
        )
    count = ", ".join(
        wording.counted(len(each), word) for each, word in ((errors, "error"), (warnings, "warning")) if each
    )
    said = (
        "A text does not fit what its interaction would declare."
        if errors
        else "Worth a look before it goes live."
    )
    return Check("contract", title, PROBLEM if errors else WARNING, count, said, _some([*errors, *warnings]))


def cost_change(found: Sequence[Figures]) -> Check:
    """What a thousand calls cost before and after, by share of each variant."""
    title = "Cost"
    told, dearer, unknown, largest = [], False, 0, ""
    most = Decimal(0)
    for each in found:
        if each.after is None or each.before is None:
            unknown += each.after is None and not each.is_gone
            if each.after is not None:
                told.append(f"{each.name}: new, {each.after_words}")
            continue
        if each.before == each.after:
            continue
        told.append(f"{each.name}: {each.before_words} → {each.after_words}, {each.change}")
        dearer = dearer or each.after > each.before * _MUCH_DEARER
        if not largest or abs(each.after - each.before) > most:
            most, largest = abs(each.after - each.before), f"cost {each.change}"
    basis = f"Per 1,000 calls, about, {cost.MEASURED_BASIS}."
    if not told and not unknown:
        return Check("cost", title, OK, "cost the same", "Calls cost what they cost now.")
    if not told:
        return Check("cost", title, WARNING, "cost not known", "The registry has no prices for these models.")
    said = f"{basis}{' Some prices are not known.' if unknown else ''}"
    return Check(
        "cost", title, WARNING if dearer or unknown else OK, largest or "cost known", said, _some(told)
    )


def context_window(found: Sequence[Figures]) -> Check:
    """Whether each text with its longest input, and its answer, fit every model that may be asked."""
    title = "Context window"
    full = [f"{each.name}: {said}" for each in found for said in each.too_many_out]
    full += [f"{each.name}: {room.words}" for each in found for room in each.crowded if room.share > 1]
    near = [f"{each.name}: {room.words}" for each in found for room in each.crowded if room.share <= 1]
    some = _some([*full, *near])
    if full:
        said = "A text and its answer do not fit a model."
        return Check("context", title, PROBLEM, "does not fit", said, some)
    if near:
        said = "A text and its answer fill most of a model’s window."
        return Check("context", title, WARNING, "nearly full", said, some)
    if not found:
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


def _touched(composed: Composed) -> list[tuple[str, bytes]]:
    sides = (composed.live.content.texts, composed.content.texts)
    return [
        (change.key, side[change.key]) for change in composed.changes for side in sides if change.key in side
    ]


def _some(details: Sequence[str]) -> tuple[str, ...]:
    rest = len(details) - _MOST_DETAILS
    return (*details[:_MOST_DETAILS], f"and {rest:,} more") if rest > 0 else tuple(details)

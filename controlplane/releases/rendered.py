"""What a change makes of every prompt: for each text and each input the text now and then, alike differences together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from controlplane.prompts import prefix, textdiff, tokens
from controlplane.prompts.documents import digest
from controlplane.prompts.prefix import Prefix
from controlplane.prompts.rendering import Input, Outcome
from controlplane.releases.composed import Composed
from controlplane.releases.trials import MOST_INPUTS, MOST_TEXTS, Renders, Text, changing_texts
from controlplane.runtime.entries import Parameter

# Each is a table on the page. The others are named with their inputs, any of which can be chosen to be shown.
_MOST_GROUPS: Final = 8
_MOST_GROUPS_OF_NEW: Final = 3


@dataclass(frozen=True)
class Failing:
    """An input with which the text comes to nothing; `required`: and with which it must come to something."""

    name: str
    problem: str
    required: bool
    failed_before: bool


@dataclass(frozen=True)
class Group:
    """Inputs whose texts change alike; `rows` are those of the first, or of the one that was asked for."""

    rows: list[textdiff.Row]
    summary: str
    shown: str
    inputs: list[str]

    @property
    def others(self) -> list[str]:
        """The inputs that are not shown."""
        return [name for name in self.inputs if name != self.shown]


@dataclass(frozen=True)
class Length:
    """An input by the length of its text."""

    name: str
    characters: int
    tokens: int

    @property
    def words(self) -> str:
        """As a sentence has it."""
        return f"{self.name}, {self.characters:,} characters, about {self.tokens:,} tokens"


@dataclass(frozen=True)
class RenderedText:
    """One text with all its inputs."""

    name: str
    code: str
    sha256: str
    is_new: bool
    inputs: int
    not_tried: int
    groups: list[Group]
    more_groups: list[list[str]]
    distinct: int
    same: list[str]
    failing: list[Failing]
    longest: Length | None
    shortest: Length | None
    prefix: Prefix | None
    prefix_change: str

    @property
    def summary(self) -> str:
        """How many differences over how many inputs."""
        over = f"over {self.inputs} input{'s' if self.inputs != 1 else ''}"
        if self.is_new:
            return f"New: {self.distinct} distinct text{'s' if self.distinct != 1 else ''} {over}."
        if not self.distinct:
            return f"No text changes {over}."
        return f"{self.distinct} distinct change{'s' if self.distinct != 1 else ''} {over}."

    @property
    def blocked(self) -> bool:
        """Whether it may not go live."""
        return any(each.required for each in self.failing)


@dataclass(frozen=True)
class Rendered:
    """What a change makes of the prompts; `left_out` names the texts that were not rendered, for their number."""

    texts: list[RenderedText]
    left_out: list[str]


def rendered(composed: Composed, renders: Renders, *, shown: str = "") -> Rendered:
    """Render all that changes, now and then; `shown` is the input that was asked for. Raises `RenderBusy`."""
    found = changing_texts(composed)
    told, left_out = [], [text.name for text in found[MOST_TEXTS:]]
    for text in found[:MOST_TEXTS]:
        looked_at = _looked_at(text, renders, shown)
        if looked_at is None:
            left_out.append(text.name)
        else:
            told.append(looked_at)
    return Rendered(told, left_out)


def _looked_at(text: Text, renders: Renders, shown: str) -> RenderedText | None:
    usual = renders.inputs(text.interaction, text.declared, before=text.declared_before)
    # Beside the usual ones and not among them: what a call brought refuses nothing, and may be a stranger's.
    recorded = renders.recorded(text, usual)
    room = MOST_INPUTS - len(recorded)
    inputs = [*usual[:room], *recorded, *usual[room:]]
    after = renders.of(text.after, text.declared, inputs)
    before = (
        [Outcome(each, None) for each in inputs[:MOST_INPUTS]]
        if text.before is None
        else renders.of(text.before, text.declared_before, inputs)
    )
    if after is None or before is None:
        return None
    pairs = list(zip(before, after, strict=True))
    groups, same = _grouped(pairs, shown)
    most = _MOST_GROUPS_OF_NEW if text.before is None else _MOST_GROUPS
    texts = sorted(
        ((each.input.name, each.text) for each in after if each.text is not None),
        key=lambda named: (len(named[1]), named[0]),
    )
    return RenderedText(
        name=text.name,
        code=text.code,
        sha256=digest(text.after),
        is_new=text.before is None,
        inputs=len(after),
        not_tried=len(inputs) - len(after),
        groups=groups[:most],
        more_groups=[group.inputs for group in groups[most:]],
        distinct=len(groups),
        same=same,
        failing=[_failing(old, new) for old, new in pairs if new.problem is not None],
        longest=_length(*texts[-1]) if texts else None,
        shortest=_length(*texts[0]) if len(texts) > 1 else None,
        prefix=(then := text_prefix(renders, text.after, text.declared, after)),
        prefix_change=""
        if text.before is None
        else prefix.change_in_words(text_prefix(renders, text.before, text.declared_before, before), then),
    )


def text_prefix(
    renders: Renders, body: str, declared: Sequence[Parameter], outcomes: Iterable[Outcome]
) -> Prefix | None:
    """Return what all texts of one template begin with; one that has a single input is rendered with another one made of it."""
    found = [(each.input, each.text) for each in outcomes if each.text is not None]
    if len({text for _, text in found}) == 1 and declared:
        given = found[0][0]
        other = Input("", prefix.other_than(given.values, declared), given.origin)
        made = renders.of(body, tuple(declared), [other])
        found += [(each.input, each.text) for each in made or () if each.text is not None]
    return prefix.prefix_of(body, [(each.values, text) for each, text in found], declared)


def _grouped(pairs: Sequence[tuple[Outcome, Outcome]], shown: str) -> tuple[list[Group], list[str]]:
    """Put inputs together whose texts change by the same words, wherever these stand; the largest group first."""
    found: dict[tuple[object, ...], list[tuple[str, list[textdiff.Row]]]] = {}
    same = []
    for old, new in pairs:
        if new.text is None:
            continue
        if old.text == new.text:
            same.append(new.input.name)
            continue
        rows = textdiff.lines(old.text or "", new.text)
        found.setdefault(_changed_words(rows), []).append((new.input.name, rows))
    groups = [_group(members, shown) for members in found.values()]
    return sorted(groups, key=lambda group: -len(group.inputs)), same


def _group(members: list[tuple[str, list[textdiff.Row]]], shown: str) -> Group:
    names = [name for name, _ in members]
    index = names.index(shown) if shown in names else 0
    rows = members[index][1]
    return Group(rows, str(textdiff.summary(rows)), names[index], names)


def _changed_words(rows: Iterable[textdiff.Row]) -> tuple[object, ...]:
    """Return what came and what went: the marked words of a line that is still recognised, else the whole line."""
    return tuple(
        (
            row.kind,
            tuple(part.text for part in row.parts if part.marked) or row.text,
            row.hidden_ins,
            row.hidden_del,
        )
        for row in rows
        if row.kind in {"ins", "del"} or row.hidden_ins or row.hidden_del
    )


def _failing(old: Outcome, new: Outcome) -> Failing:
    return Failing(new.input.name, new.told, new.input.required, old.problem is not None)


def _length(name: str, text: str) -> Length:
    return Length(name, len(text), tokens.estimate(text))

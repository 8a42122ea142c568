"""How much of a template's text begins every call alike, and what ends that. Pure.

Many providers bill the beginning of a prompt at a discount when they have seen the very same one a moment ago. It has to
be the same to the letter and, with most of them, about 1,024 tokens long. So what differs from call to call belongs
behind what does not.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from controlplane.prompts import tokens
from controlplane.runtime.entries import Parameter

# What several large providers ask for at the least before they keep a prefix; others ask for more.
WORTH_KEEPING: Final = 1_024
_NOT_WORTH_TELLING: Final = 0.02

_TAG: Final = re.compile(
    r"{#.*?#}|{%-?\+?\s*raw\b.*?endraw\s*-?\+?%}|{{(?P<shown>.*?)}}|{%[-+]?\s*(?P<word>\w+)(?P<rest>.*?)%}",
    re.DOTALL,
)
_QUOTED: Final = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_NAME: Final = re.compile(r"(?<![.\w])[A-Za-z_]\w*")
_COMPARES: Final = re.compile(r"[=<>]|\b(?:in|is)\b|\|")
_ABSENT: Final = object()


@dataclass(frozen=True)
class Prefix:
    """What all of `renders` texts begin with; `whole` when they are one and the same text.

    `ended_by` is the first parameter whose value differs and shows, on `line` of the template; None when that is not clear.
    """

    characters: int
    tokens: int
    renders: int
    whole: bool
    ended_by: str | None = None
    line: int | None = None

    @property
    def sentence(self) -> str:
        """All of it in words."""
        if self.whole:
            return f"Every call has the same text: about {self.tokens:,} tokens."
        if not self.characters:
            return f"The calls differ from the first character on{self._ending()}."
        return f"All calls begin with the same {self.characters:,} characters, about {self.tokens:,} tokens{self._ending()}."

    @property
    def hint(self) -> str | None:
        """What could be done about one that is too short to be kept, or None."""
        if self.tokens >= WORTH_KEEPING or self.whole or not self.ended_by:
            return None
        return (
            f"Many providers bill a beginning that stays the same at a discount, from about {WORTH_KEEPING:,} tokens on: put "
            f"what differs, such as {self.ended_by}, as far down as the text allows."
        )

    def _ending(self) -> str:
        if self.ended_by is None:
            return ""
        return f": {self.ended_by}, on line {self.line}, ends it"


def prefix_of(
    source: str, renders: Sequence[tuple[Mapping[str, Any], str]], declared: Sequence[Parameter]
) -> Prefix | None:
    """Return what these texts of one template, each with the values it was rendered with, begin with; None for none."""
    if not renders:
        return None
    texts = [text for _, text in renders]
    common = _common(min(texts), max(texts))
    whole = all(len(text) == len(common) for text in texts)
    found = None if whole else _first_differing(source, [values for values, _ in renders], declared)
    return Prefix(
        characters=len(common),
        tokens=tokens.estimate(common),
        renders=len(texts),
        whole=whole,
        ended_by=found[0] if found else None,
        line=found[1] if found else None,
    )


def literal(source: str, declared: Sequence[Parameter]) -> Prefix:
    """Return what a template's text begins with before anything is put in: at least that is the same in every call."""
    names = {parameter.name for parameter in declared}
    first = next(((name, start) for name, start, _ in _mentioned(source) if name in names), None)
    end = first[1] if first else len(source)
    begun = next((tag for tag in _TAG.finditer(source) if tag.start() <= end < tag.end()), None)
    text = _TAG.sub("", source[: begun.start() if begun else end])
    return Prefix(
        characters=len(text),
        tokens=tokens.estimate(text),
        renders=0,
        whole=first is None,
        ended_by=first[0] if first else None,
        line=source.count("\n", 0, end) + 1 if first else None,
    )


def change_in_words(before: Prefix | None, after: Prefix | None) -> str:
    """What a change does to the beginning: a sentence, "" when there is nothing to compare."""
    if before is None or after is None:
        return ""
    if abs(before.characters - after.characters) <= _NOT_WORTH_TELLING * before.characters:
        return "About as long as now."
    longer = after.characters > before.characters
    moved = f"{'Longer' if longer else 'Shorter'} than now: about {before.tokens:,} tokens so far."
    if not longer and before.tokens >= WORTH_KEEPING > after.tokens:
        return f"{moved} It falls below the {WORTH_KEEPING:,} from which many providers bill a beginning at a discount."
    if longer and after.tokens >= WORTH_KEEPING > before.tokens:
        return f"{moved} From {WORTH_KEEPING:,} on many providers bill a beginning at a discount."
    return moved


def other_than(values: Mapping[str, Any], declared: Sequence[Parameter]) -> dict[str, Any]:
    """Return values of the same kinds that differ from these in everything, for a template with a single set of them."""
    given = {parameter.name for parameter in declared} & values.keys()
    return {name: _other(values[name]) for name in given if values[name] is not None}


def _common(first: str, last: str) -> str:
    """Return what the first and the last of sorted texts begin with, and so all between them do."""
    shorter = min(len(first), len(last))
    return first[: next((index for index in range(shorter) if first[index] != last[index]), shorter)]


def _other(value: Any) -> Any:
    match value:
        case bool():
            return value  # another one takes another branch: that is no other call, but another text
        case int() | float():
            return value + 1
        case str():
            return f"{'B' if value[:1] == 'A' else 'A'}{value[1:]}" if value else "A"
        case list() | tuple():
            return [_other(item) for item in value]
        case dict():
            return {name: _other(item) for name, item in value.items()}
    return value


def _first_differing(
    source: str, values: Sequence[Mapping[str, Any]], declared: Sequence[Parameter]
) -> tuple[str, int] | None:
    """Return the parameter, in the order of the text, whose differing values show first, with its line."""
    names = {parameter.name for parameter in declared}
    for name, start, decides in _mentioned(source):
        if name not in names:
            continue
        seen = [each.get(name, _ABSENT) for each in values]
        if decides:
            seen = [bool(value) and value is not _ABSENT for value in seen]
        if any(value != seen[0] for value in seen[1:]):
            return name, source.count("\n", 0, start) + 1
    return None


def _mentioned(source: str) -> Iterator[tuple[str, int, bool]]:
    """Yield the names inside tags with their places; the last says that only whether there is a value decides.

    By eye and not by the engine, which compiles strangers' texts in a process of its own: a name in the wrong place makes
    a sentence less exact, and harms nobody.
    """
    for tag in _TAG.finditer(source):
        word, group = tag["word"], "shown" if tag["shown"] is not None else "rest"
        inside = tag[group]
        if inside is None:
            continue
        bare = _QUOTED.sub(lambda quoted: " " * len(quoted[0]), inside)
        decides = word in {"if", "elif"} and not _COMPARES.search(bare)
        for name in _NAME.finditer(bare):
            yield name[0], tag.start(group) + name.start(), decides

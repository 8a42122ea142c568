"""A template's text cut into tags and what stands between them, with the white space that Jinja would leave. Pure.

The lexer is Jinja's own, so that raw sections, comments and quoted texts are what they are when the text is rendered. What
it does not tell is where each token stands and which white space it left out; that is worked out here, so that a text can
be taken apart and put together again without changing what it means.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from jinja2 import TemplateSyntaxError

from controlplane.runtime.profile import MAX_NODES
from controlplane.runtime.sandbox import ENVIRONMENT

# As in the runtime's profile, which then says so: texts of that many are refused whatever they include.
_MOST_TOKENS: Final = 6 * MAX_NODES
_OPENING: Final = frozenset({"block_begin", "variable_begin", "comment_begin", "raw_begin"})
_CLOSING: Final = frozenset({"block_end", "variable_end", "comment_end", "raw_end"})
_NO_WORD: Final = frozenset({"whitespace", "comment", "data"})


@dataclass(frozen=True)
class Text:
    """What stands between two tags: as it is `written`, and what is `kept` of it, that is, rendered."""

    written: str
    kept: str
    line: int
    column: int


@dataclass(frozen=True)
class Tag:
    """A tag from its first brace to its last, a raw section being one tag; `swallowed` is white space that goes with it.

    `before` and `after` are the signs (-, + or none) that rule the white space around it. `words` are the names, texts and
    operators inside: ("include", '"shared/tone"').
    """

    source: str
    line: int
    column: int
    before: str = ""
    after: str = ""
    swallowed: str = ""
    words: tuple[str, ...] = ()

    @property
    def prints(self) -> bool:
        """Whether it is {{ … }}, which leaves white space alone unless it has a sign."""
        return self.source.startswith("{{")

    def sparing_before(self) -> "Tag":
        """Return the tag spelled so that it leaves what stands before it as it is."""
        sign = "" if self.prints else "+"
        return replace(self, source=self.source[:2] + sign + self.source[2 + len(self.before) :], before=sign)

    def sparing_after(self) -> "Tag":
        """Return the tag spelled so that it leaves what stands after it as it is."""
        sign = "" if self.prints else "+"
        inside = self.source[: len(self.source) - 2 - len(self.after)]
        return replace(self, source=inside + sign + self.source[-2:], after=sign, swallowed="")


class _Token(NamedTuple):
    kind: str
    value: str
    start: int


def cut(source: str) -> list[Text | Tag]:
    """Return a text, whose newlines are plain, as texts and tags in turn; it begins and ends with a text, perhaps an empty one.

    Raises Jinja's `TemplateSyntaxError` for what cannot be read, and what has more elements than a prompt may have.
    """
    parts: list[Text | Tag] = []
    lines = _Lines(source)
    end, kept, inside = 0, "", []  # type: int, str, list[_Token]
    for token in _tokens(source):
        if token.kind in _OPENING:
            parts.append(Text(source[end : token.start], kept, *lines.place(end)))
        if token.kind == "data" and not inside:
            kept = token.value
            continue
        inside.append(token)
        if token.kind in _CLOSING:
            parts.append(_tag(source, lines, inside))
            end, kept, inside = token.start + len(token.value), "", []
    parts.append(Text(source[end:], source[end:], *lines.place(end)))
    return parts


class _Lines:
    """Where the lines of a text begin."""

    def __init__(self, source: str) -> None:
        self._starts = [0, *(found.end() for found in re.finditer("\n", source))]

    def place(self, position: int) -> tuple[int, int]:
        """Return line and column of a position, both beginning with 1."""
        line = bisect_right(self._starts, position)
        return line, position - self._starts[line - 1] + 1


def _tokens(source: str) -> Iterator[_Token]:
    """Yield Jinja's tokens with where each stands: one after the other, but for white space left out before a brace."""
    position = 0
    for count, (line, kind, value) in enumerate(ENVIRONMENT.lex(source)):
        if count > _MOST_TOKENS:
            raise TemplateSyntaxError("too many elements", line)
        start = source.index(value, position)
        yield _Token(kind, value, start)
        position = start + len(value)


def _tag(source: str, lines: _Lines, inside: list[_Token]) -> Tag:
    first, last = inside[0], inside[-1]
    closing = last.value.rstrip()
    end = last.start + len(closing)
    line, column = lines.place(first.start)
    return Tag(
        source=source[first.start : end],
        line=line,
        column=column,
        before=_sign(first.value[2:3]),
        after=_sign(closing[-3:-2]),
        swallowed=last.value[len(closing) :],
        words=tuple(token.value for token in inside[1:-1] if token.kind not in _NO_WORD),
    )


def _sign(character: str) -> str:
    return character if character in {"-", "+"} else ""

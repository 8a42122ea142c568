"""Where in its text each part of a prompt stands: Jinja counts lines only, this adds where on the line.

Every node of a tree that was parsed here has a `Place` for its `lineno`: the number of the line, as everywhere, which also
knows how far into the text it is. Jinja hands it on from the token to the node, and to the error when there is one.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from jinja2 import Environment, nodes
from jinja2.lexer import TokenStream
from jinja2.parser import Parser


class Place(int):
    """The number of a line, and where in the whole text something on it begins."""

    offset: int

    def __new__(cls, line: int, offset: int) -> "Place":
        """Return the line's number, with the offset beside it."""
        place = super().__new__(cls, line)
        place.offset = offset
        return place


Token = tuple[Place, str, str]


class Mark(NamedTuple):
    """A stretch of the text: line and column are counted from 1, the length is in characters."""

    line: int
    column: int
    length: int


def parse(environment: Environment, source: str) -> nodes.Template:
    """Return the syntax tree of a text whose lines end in plain newlines; raises what Jinja raises."""
    parser = Parser(environment, "")  # given the text it would already look for its first token
    parser.stream = TokenStream(environment.lexer.wrap(tokens(environment, source)), None, None)
    return parser.parse()


def tokens(environment: Environment, source: str) -> Iterator[Token]:
    """Yield the tokens, white space among them, each with its place."""
    offset, line = 0, 1
    for _, kind, value in environment.lexer.tokeniter(source, None):
        # Jinja leaves out white space that a tag takes away: the token begins after it.
        begin = source.find(value, offset)
        line += source.count("\n", offset, begin)
        yield Place(line, begin), kind, value
        offset = begin + len(value)
        line += value.count("\n")


def mark_of(node: nodes.Node, source: str) -> Mark | None:
    """Return what to mark of a part: a field's, filter's or test's name alone, of anything else all of it."""
    found = _name_of(node, source) or _extent(node, source)
    return None if found is None else mark_at(source, *found)


def mark_at(source: str, begin: int, end: int) -> Mark:
    """Return a stretch of the text as line, column and length; one of several lines ends with the first."""
    line_begins = source.rfind("\n", 0, begin) + 1
    length = len(source[begin:end].partition("\n")[0])
    return Mark(source.count("\n", 0, begin) + 1, begin - line_begins + 1, max(1, length))


_NAME: Final = re.compile(r"\w+")
_FIELD: Final = re.compile(r"\.\s*(\w+)")
_TEST: Final = re.compile(r"is\s+(?:not\s+)?(\w+)")
_LITERAL: Final = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[\w.]+", re.DOTALL)
_NAMED: Final[tuple[tuple[type[nodes.Node], re.Pattern[str]], ...]] = (
    (nodes.Name, _NAME),
    (nodes.Getattr, _FIELD),
    (nodes.Filter, _NAME),
    (nodes.Test, _TEST),
    (nodes.Const, _LITERAL),
    (nodes.If, _NAME),
    (nodes.For, _NAME),
    (nodes.Keyword, _NAME),
)
Stretch = tuple[int, int]


def _name_of(node: nodes.Node, source: str) -> Stretch | None:
    if isinstance(node, nodes.Call):
        return _name_of(node.node, source)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        return _name_of(node.arg, source)
    place = node.lineno
    if not isinstance(place, Place):
        return None
    for kind, pattern in _NAMED:
        if isinstance(node, kind):
            found = pattern.match(source, place.offset)
            return found.span(found.re.groups) if found else None
    return None


def _extent(node: nodes.Node, source: str) -> Stretch | None:
    """Return from where the first of its parts begins to where the last one ends."""
    parts = [found for part in _parts(node) if (found := _name_of(part, source))]
    if parts:
        return min(begin for begin, _ in parts), max(end for _, end in parts)
    place = node.lineno
    return (place.offset, place.offset + 1) if isinstance(place, Place) else None


def _parts(node: nodes.Node) -> Iterable[nodes.Node]:
    return node.find_all(nodes.Expr)

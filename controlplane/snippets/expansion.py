"""Snippets put into a template's text: `{% include "shared/tone" %}` becomes the text of the snippet. Pure.

This is done when a template is saved, not when it is rendered: what is published is one text, which every reader takes as
it always did. What is rendered of it is what Jinja's own `include` would give, with the runtime's settings for white space:

* the text of the snippet stands where the tag stood, as it is, with its last newline if it has one;
* the signs on the tag ({%- … -%}) rule the template's white space, those inside a snippet rule the snippet's;
* a name that a snippet sets is set in the snippet only; names that the template has set can be read in it.

One thing is kinder than Jinja: a tag that stands alone on its line makes a line (or more) of its own, even where the
snippet does not end with a newline. Jinja would glue the next line of the template to it.

To leave white space as it is, tags that come to stand beside other text get a + where they need one.
"""

import contextlib
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec
from jinja2 import TemplateSyntaxError

from controlplane.errors import ControlPlaneError
from controlplane.prompts.contract import Verdict
from controlplane.runtime.entries import LOWER_CODE
from controlplane.runtime.profile import MAX_SOURCE_BYTES
from controlplane.runtime.renderer import Problem
from controlplane.runtime.words import closest
from controlplane.snippets.lexing import Tag, Text, cut

PREFIX: Final = "shared/"
HOW: Final = 'write {% include "shared/name" %} or, to stay on one version, {% include "shared/name@3" %}'
NESTED: Final = "a snippet cannot hold another snippet: put the text in, or include both in the template"

_QUOTED: Final = re.compile(r"""(["'])([^"'\\]*)\1""")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}")
_LINE_IN_WORDS: Final = re.compile(r"\bof line (\d+)")


class SnippetProblem(ControlPlaneError):  # noqa: N818 - the name reads as what is raised
    """A snippet cannot be put in; `problem` says why, and on which line of the template."""

    def __init__(self, message: str, line: int | None = None) -> None:
        self.problem = Problem(message, line)
        super().__init__(message)


@dataclass(frozen=True)
class Reference:
    """An include as it stands in a template; without a version it follows the newest."""

    code: str
    version: int | None
    line: int
    column: int = 1
    length: int = 1

    @property
    def name(self) -> str:
        """As templates write it: shared/tone, or shared/tone@3."""
        return PREFIX + self.short

    @property
    def short(self) -> str:
        """The same without what every name begins with: under this a version of a template keeps what it took."""
        return self.code if self.version is None else f"{self.code}@{self.version}"


@dataclass(frozen=True)
class Shared:
    """A snippet that may be included: its newest version, and the texts by version, as far as they are needed."""

    newest: int
    texts: Mapping[int, str]
    archived: bool = False


class Place(NamedTuple):
    """A line of a template, or of a snippet that `included` puts in; the column is known where one was asked for."""

    line: int
    column: int | None = None
    included: Reference | None = None


class _Start(NamedTuple):
    """Where on a line of the whole text a piece begins, where it comes from, and whether it is (part of) a tag."""

    column: int
    line: int
    origin_column: int
    included: Reference | None
    is_tag: bool

    def place(self, column: int | None) -> Place:
        """Return where this column of the whole text, or its line, was written."""
        at = None if column is None else self.origin_column + max(column - self.column, 0)
        return Place(self.line, at, self.included)


@dataclass(frozen=True)
class Expanded:
    """A template's text with its snippets put in. `taken` says which version of each was, by `Reference.short`."""

    text: str
    taken: Mapping[str, int] = field(default_factory=dict)
    _lines: Sequence[Sequence[_Start]] = ()

    def place(self, line: int, column: int | None = None) -> Place:
        """Return where a line of the text, and a column beginning with 1, comes from; a line alone is that of its first tag."""
        if not self._lines:
            return Place(line, column)
        starts = self._lines[min(max(line, 1), len(self._lines)) - 1]
        if column is not None:
            return starts[max(bisect_right([each.column for each in starts], column) - 1, 0)].place(column)
        return next((each for each in starts if each.is_tag), starts[0]).place(None)

    def told(self, problem: Problem) -> Problem:
        """Return a problem of the whole text as the template's author has to read it: by the lines they wrote."""
        if not self._lines:
            return problem
        message, line, column, _ = self._told(problem.message, problem.line, problem.column, 1)
        return Problem(message, line, column)

    def judged(self, verdict: Verdict) -> Verdict:
        """Return a verdict on the whole text likewise; what is wrong in a snippet marks the tag that includes it."""
        if not self._lines:
            return verdict
        message, line, column, length = self._told(
            verdict.message, verdict.line, verdict.column, verdict.length
        )
        return msgspec.structs.replace(verdict, message=message, line=line, column=column, length=length)

    def _told(
        self, message: str, line: int | None, column: int | None, length: int
    ) -> tuple[str, int | None, int | None, int]:
        message = _LINE_IN_WORDS.sub(lambda found: f"of line {self.place(int(found[1])).line}", message)
        if line is None:
            return message, None, None, length
        place = self.place(line, column)
        tag = place.included
        if tag is None:
            return message, place.line, place.column, length
        message = f"in {tag.name}, line {place.line}: {message}"
        return message, tag.line, None if column is None else tag.column, tag.length


def references(body: str) -> list[Reference]:
    """Return the includes of a template in their order; raises `SnippetProblem` for one that is not as it should be.

    A text that cannot be read has none: what is wrong with it is better said by whoever compiles it.
    """
    return [reference for _, reference in _included(_cut(body))]


def wanted(body: str) -> set[tuple[str, int | None]]:
    """Return code and version of the snippets that a text includes, passing over what is not as it should be."""
    found: set[tuple[str, int | None]] = set()
    for part in _cut(body):
        if isinstance(part, Tag) and _is_include(part):
            with contextlib.suppress(SnippetProblem):
                reference = _reference(part)
                found.add((reference.code, reference.version))
    return found


def expand(body: str, shared: Mapping[str, Shared], *, known: Sequence[str] = ()) -> Expanded:
    """Return a template's text (with plain newlines) with its snippets put in; raises `SnippetProblem`.

    `shared` has the snippets that it includes by code; `known` are the codes of all, for "did you mean". A text without
    includes, and one that cannot be read, is returned as it is.
    """
    parts = _cut(body)
    found = dict(_included(parts))
    if not found:
        return Expanded(body)
    texts = {reference: _text_of(reference, shared, known) for reference in found.values()}
    tags = sum(len(part.source) for at, part in enumerate(parts) if at in found and isinstance(part, Tag))
    _check_size(len(body.encode()) - tags + sum(len(texts[each].encode()) for each in found.values()))
    cuts = {reference.short: _snippet(reference, text) for reference, text in texts.items()}
    writer = _Writer()
    for position, part in enumerate(parts):
        if position not in found:
            writer.add(part, None)
            continue
        reference = found[position]
        for inner in cuts[reference.short]:
            writer.add(inner, reference)
        writer.ended_line = _stands_alone(parts, position) and not texts[reference].endswith("\n")
    taken = {each.short: each.version or shared[each.code].newest for each in found.values()}
    text, lines = writer.result()
    _check_size(len(text.encode()))
    return Expanded(text, dict(sorted(taken.items())), lines)


def _cut(body: str) -> Sequence[Text | Tag]:
    # Most templates include nothing, and what is too large is refused for that; neither is worth reading.
    return _read(body) if "include" in body and len(body) <= MAX_SOURCE_BYTES else ()


# Asked some times for one text: what it includes, then with that put in, for each of several samples.
@lru_cache(maxsize=4)
def _read(body: str) -> Sequence[Text | Tag]:
    try:
        return tuple(cut(body))
    except TemplateSyntaxError:
        return ()


def _is_include(part: Text | Tag) -> bool:
    return isinstance(part, Tag) and part.source.startswith("{%") and part.words[:1] == ("include",)


def _included(parts: Sequence[Text | Tag]) -> Iterator[tuple[int, Reference]]:
    for position, part in enumerate(parts):
        if isinstance(part, Tag) and _is_include(part):
            yield position, _reference(part)


def _reference(tag: Tag) -> Reference:
    name = _quoted(tag.words[1:])
    if name is None:
        raise SnippetProblem(f"only the name of a snippet in quotes can be included: {HOW}", tag.line)
    if not name.startswith(PREFIX):
        raise SnippetProblem(
            f"there is no {name!r} to include: snippets have names like shared/tone", tag.line
        )
    code, at, number = name.removeprefix(PREFIX).partition("@")
    if not LOWER_CODE.fullmatch(code):
        raise SnippetProblem(
            f"{name!r} is no name of a snippet: small letters, digits and underscores, as in shared/tone",
            tag.line,
        )
    if at and not _NUMBER.fullmatch(number):
        raise SnippetProblem(f"after the @ in {name!r} the number of a version is expected: {HOW}", tag.line)
    length = len(tag.source.partition("\n")[0])
    return Reference(code, int(number) if at else None, tag.line, tag.column, length)


def _quoted(words: Sequence[str]) -> str | None:
    """Return the text of one quoted word, and None for anything else."""
    found = _QUOTED.fullmatch(words[0]) if len(words) == 1 else None
    return found[2] if found else None


def _text_of(reference: Reference, shared: Mapping[str, Shared], known: Sequence[str]) -> str:
    found = shared.get(reference.code)
    if found is None:
        hint = closest(PREFIX + reference.code, [PREFIX + code for code in known])
        raise SnippetProblem(f"there is no snippet {PREFIX}{reference.code}{hint}", reference.line)
    if found.archived:
        raise SnippetProblem(
            f"the snippet {PREFIX}{reference.code} is archived: restore it, or take it out", reference.line
        )
    text = found.texts.get(reference.version or found.newest)
    if text is None:
        raise SnippetProblem(
            f"{PREFIX}{reference.code} has no version {reference.version}; the newest is {found.newest}",
            reference.line,
        )
    return text


def _check_size(size: int) -> None:
    """Refuse what grows too large, before it has grown: a thousand includes are soon written."""
    if size > MAX_SOURCE_BYTES:
        raise SnippetProblem(
            f"with its snippets put in, the text has about {size:,} bytes, more than the {MAX_SOURCE_BYTES:,} a prompt may have"
        )


def _snippet(reference: Reference, text: str) -> list[Text | Tag]:
    """Return a snippet's text, in a scope of its own where it sets names."""
    try:
        parts = cut(text)
    except TemplateSyntaxError as error:  # nothing unreadable is saved; the rules may have been others once
        raise SnippetProblem(f"{reference.name} cannot be read: {error.message}", reference.line) from None
    tags = [part for part in parts if isinstance(part, Tag)]
    if any(map(_is_include, tags)):
        raise SnippetProblem(f"in {reference.name}: {NESTED}", reference.line)
    if not any(tag.source.startswith("{%") and tag.words[:1] == ("set",) for tag in tags):
        return parts
    end = (parts[-1].line, parts[-1].column)
    return [
        Text("", "", 1, 1), Tag("{% with %}", 1, 1), *parts, Tag("{% endwith %}", *end), Text("", "", *end)
    ]  # fmt: skip


def _stands_alone(parts: Sequence[Text | Tag], position: int) -> bool:
    """Say whether an include is all there is on its line, and nothing takes the line's end away but its own."""
    tag, before, first = parts[position], parts[position - 1], position == 1
    if not isinstance(tag, Tag) or not isinstance(before, Text) or tag.after or tag.swallowed != "\n":
        return False
    earlier = parts[position - 2] if not first else None
    ends = before.written
    if isinstance(earlier, Tag):
        ends = earlier.swallowed + ends
    line_before = ends.rpartition("\n")
    begins_here = bool(line_before[1]) or first
    return begins_here and not line_before[2].strip() and not _taken_away(parts, position + 1)


def _taken_away(parts: Sequence[Text | Tag], position: int) -> bool:
    """Say whether the tag after a text takes away all that stands before it: {%- … %}."""
    text = parts[position]
    following = parts[position + 1] if position + 1 < len(parts) else None
    return isinstance(text, Text) and not text.kept and isinstance(following, Tag) and following.before == "-"


class _Piece(NamedTuple):
    text: str
    line: int
    column: int
    included: Reference | None
    is_tag: bool


class _Writer:
    """Puts texts and tags together. What two tags enclose of more than one source is rendered as it was in each."""

    def __init__(self) -> None:
        self._pieces: list[_Piece] = []
        self._tag: tuple[Tag, Reference | None] | None = None
        self._gap: list[tuple[Text, Reference | None]] = []
        self._is_seam = False  # whether the gap has an end of a snippet in it
        self.ended_line = False  # whether the last include made a line of its own

    def add(self, part: Text | Tag, included: Reference | None) -> None:
        """Take the next part of the template, or of the snippet that is included there."""
        if isinstance(part, Tag):
            self._flush(part, included)
            return
        self._is_seam = self._is_seam or included is not None or bool(self._gap)
        if self.ended_line:
            part = Text(f"\n{part.written}", f"\n{part.kept}", part.line - 1, 1)
            self.ended_line = False
        self._gap.append((part, included))

    def result(self) -> tuple[str, list[list[_Start]]]:
        """Return the whole text, and for each of its lines the pieces on it."""
        self._flush(None, None)
        lines: list[list[_Start]] = [[]]
        column = 1
        for piece in self._pieces:
            for offset, part in enumerate(piece.text.split("\n")):
                if offset:
                    lines.append([])
                    column = 1
                if column == 1 and part:
                    lines[-1].clear()  # whatever ended the line before begins nothing on this one
                if part or not lines[-1]:
                    origin = 1 if offset else piece.column
                    is_tag = piece.is_tag and bool(part)
                    lines[-1].append(_Start(column, piece.line + offset, origin, piece.included, is_tag))
                column += len(part)
        return "".join(piece.text for piece in self._pieces), lines

    def _flush(self, tag: Tag | None, included: Reference | None) -> None:
        """Write the tag before the gap and the gap; `tag` is the one after it."""
        before, kept = self._tag, "".join(text.kept for text, _ in self._gap)
        if self._is_seam:
            if before is not None and not _spares_after(before[0], kept):
                before = (before[0].sparing_after(), before[1])
            if tag is not None and not _spares_before(tag, kept):
                tag = tag.sparing_before()
        if before is not None:
            self._write_tag(*before)
        for text, origin in self._gap:
            self._write(text.kept if self._is_seam else text.written, text.line, text.column, origin)
        self._tag = None if tag is None else (tag, included)
        self._gap, self._is_seam = [], False

    def _write_tag(self, tag: Tag, included: Reference | None) -> None:
        self._write(tag.source, tag.line, tag.column, included, is_tag=True)
        lines = tag.source.count("\n")
        column = len(tag.source) - tag.source.rfind("\n") if lines else tag.column + len(tag.source)
        self._write(tag.swallowed, tag.line + lines, column, included)

    def _write(
        self, text: str, line: int, column: int, included: Reference | None, *, is_tag: bool = False
    ) -> None:
        if text:
            self._pieces.append(_Piece(text, line, column, included, is_tag))


def _spares_after(tag: Tag, text: str) -> bool:
    """Say whether a tag, with what it swallows now, leaves this text after it whole."""
    if tag.after == "-":
        return not text[:1].isspace()
    if tag.after == "+" or tag.prints or tag.swallowed:
        return True
    return not text.startswith("\n")


def _spares_before(tag: Tag, text: str) -> bool:
    """Say whether a tag leaves this text before it whole."""
    if tag.before == "-":
        return not text[-1:].isspace()
    if tag.before == "+" or tag.prints:
        return True
    line = text.rpartition("\n")[2]
    return not line or not line.isspace()

"""Finding the snippets that a text includes, and having the text rendered with them."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from controlplane.prompts.render_jobs import WALL_SECONDS
from controlplane.prompts.render_pool import CHECK_PATIENCE, PREVIEW_PATIENCE, Examined, RenderPool
from controlplane.runtime.entries import Parameter
from controlplane.runtime.profile import normalise
from controlplane.runtime.renderer import Preview, Problem
from controlplane.snippets.expansion import Expanded, Shared, SnippetProblem, expand, wanted
from controlplane.snippets.models import Snippet, SnippetVersion


@dataclass(frozen=True)
class Library:
    """The snippets that some texts include, and the codes of all there are."""

    shared: Mapping[str, Shared]
    known: Sequence[str] = ()

    def expand(self, body: str) -> Expanded:
        """Return a text with its snippets put in; raises `SnippetProblem`."""
        return expand(body, self.shared, known=self.known)

    def with_text(self, code: str, body: str) -> "Library":
        """Return the same with one more version of a snippet, which nobody saved yet."""
        before = self.shared.get(code, Shared(0, {}))
        number = before.newest + 1
        added = Shared(number, {**before.texts, number: body})
        return Library({**self.shared, code: added}, sorted({*self.known, code}))


def library_for(session: Session, *bodies: str, hold: bool = False) -> Library:
    """Return the snippets that these texts include; without a question where they include none.

    With `hold` nobody saves another version of them until the transaction ends. That is asked for before any template is
    held: whoever saves a snippet holds it, and then the templates that follow it.
    """
    named = set().union(*map(wanted, map(normalise, bodies)))
    if not named:
        return Library({})
    codes = sorted({code for code, _ in named})
    known = select(Snippet.code).where(Snippet.archived_at.is_(None)).order_by(Snippet.code)
    query = select(Snippet).where(Snippet.code.in_(codes)).order_by(Snippet.code)
    if hold:
        query = query.with_for_update(read=True)
    found = {row.code: row for row in session.scalars(query.execution_options(populate_existing=True))}
    newest = newest_numbers(session, found)
    numbers = {(code, number or newest.get(code)) for code, number in named} | set(newest.items())
    texts: dict[str, dict[int, str]] = {code: {} for code in found}
    place = tuple_(SnippetVersion.snippet_code, SnippetVersion.number)
    versions = select(SnippetVersion.snippet_code, SnippetVersion.number, SnippetVersion.body)
    for code, number, body in session.execute(versions.where(place.in_(numbers))):
        texts[code][number] = body
    shared = {
        code: Shared(newest[code], texts[code], archived=row.archived_at is not None)
        for code, row in found.items()
    }
    return Library(shared, session.scalars(known).all())


def newest_numbers(session: Session, codes: Iterable[str]) -> dict[str, int]:
    """Return the number of the newest version of each of these snippets."""
    query = select(SnippetVersion.snippet_code, func.max(SnippetVersion.number))
    query = query.where(SnippetVersion.snippet_code.in_(list(codes)))
    return dict(session.execute(query.group_by(SnippetVersion.snippet_code)).all())


class IncludingPool:
    """A render pool to which texts are given as their authors wrote them: with includes, and told of by their own lines."""

    def __init__(self, pool: RenderPool, library: Library) -> None:
        self._pool = pool
        self._library = library

    def preview(
        self,
        source: str,
        values: Mapping[str, Any],
        declared: Sequence[Parameter],
        *,
        patience: float = PREVIEW_PATIENCE,
    ) -> Preview:
        """As `RenderPool.preview`."""
        try:
            expanded = self._library.expand(source)
        except SnippetProblem as error:
            return Preview(None, problem=error.problem)
        return _told(expanded, self._pool.preview(expanded.text, values, declared, patience=patience))

    def examine(
        self,
        source: str,
        values: Mapping[str, Any],
        declared: Sequence[Parameter],
        *,
        samples: Sequence[Mapping[str, Any]] = (),
        patience: float = PREVIEW_PATIENCE,
    ) -> Examined:
        """As `RenderPool.examine`."""
        try:
            expanded = self._library.expand(source)
        except SnippetProblem as error:
            return Examined([Preview(None, problem=error.problem)], [])
        found = self._pool.examine(expanded.text, values, declared, samples=samples, patience=patience)
        previews = [_told(expanded, each) for each in found.previews]
        return Examined(previews, [expanded.judged(each) for each in found.verdicts])

    def render_all(
        self,
        source: str,
        declared: Sequence[Parameter],
        value_sets: Sequence[Mapping[str, Any]],
        *,
        patience: float = PREVIEW_PATIENCE,
        wall: float = WALL_SECONDS,
    ) -> list[Preview] | Problem:
        """As `RenderPool.render_all`."""
        try:
            expanded = self._library.expand(source)
        except SnippetProblem as error:
            return error.problem
        found = self._pool.render_all(expanded.text, declared, value_sets, patience=patience, wall=wall)
        if isinstance(found, Problem):
            return expanded.told(found)
        return [_told(expanded, each) for each in found]

    def check(
        self,
        source: str,
        declared: Sequence[Parameter],
        *,
        samples: Sequence[Mapping[str, Any]] = (),
        patience: float = CHECK_PATIENCE,
    ) -> Problem | None:
        """As `RenderPool.check`."""
        try:
            expanded = self._library.expand(source)
        except SnippetProblem as error:
            return error.problem
        found = self._pool.check(expanded.text, declared, samples=samples, patience=patience)
        return None if found is None else expanded.told(found)


def _told(expanded: Expanded, found: Preview) -> Preview:
    if found.problem is None:
        return found
    return dataclasses.replace(found, problem=expanded.told(found.problem))

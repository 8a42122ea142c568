"""What the pages about snippets show, prepared as values: the templates only lay it out."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from controlplane.drafts import Note
from controlplane.prompts import services as prompts
from controlplane.prompts import textdiff
from controlplane.prompts.render_pool import RenderBusy, shared
from controlplane.prompts.textdiff import Row
from controlplane.registry.services import list_environments
from controlplane.runtime.entries import Parameter
from controlplane.runtime.profile import normalise
from controlplane.runtime.renderer import Problem
from controlplane.snippets import services, usage
from controlplane.snippets.models import Snippet, SnippetVersion
from controlplane.snippets.services import Broken, problem_of
from controlplane.snippets.texts import IncludingPool, Library, library_for
from controlplane.snippets.usage import Use, counted


@dataclass(frozen=True)
class SnippetRow:
    """One line of the list."""

    code: str
    name: str
    description: str
    newest: int
    used_in: int
    archived: bool
    changed_at: dt.datetime
    changed_by: str


@dataclass(frozen=True)
class SnippetList:
    """The list's page; `any_at_all` is whether there are snippets that it does not show."""

    rows: list[SnippetRow]
    any_at_all: bool

    @property
    def summary(self) -> str:
        """How many lines."""
        return counted(len(self.rows), "snippet")


@dataclass(frozen=True)
class SnippetPage:
    """One snippet: its versions, and where it is used."""

    snippet: Snippet
    saved: SnippetVersion
    uses: list[Use]
    environments: Mapping[str, str]  # names by code, in their order

    @property
    def following(self) -> list[Use]:
        """The templates that take each new version of it."""
        return [use for use in self.uses if use.follows is not None]

    @property
    def used_in(self) -> str:
        """In how many templates, in words."""
        return f"Used in {counted(len(self.uses), 'template')}" if self.uses else "Not used yet"

    @property
    def configurations(self) -> int:
        """How many configurations take a template that follows it."""
        return sum(len(use.configurations) for use in self.following)

    @property
    def effect(self) -> str:
        """What saving another version does, before anybody publishes, in a sentence."""
        if not self.following:
            pinned = " Those that are pinned stay as they are." if self.uses else ""
            return f"No template follows {self.snippet.name}: saving changes none.{pinned}"
        templates = counted(len(self.following), "template")
        return (
            f"Saving makes a new version of {templates}, which {counted(self.configurations, 'configuration')} "
            f"{'takes' if self.configurations == 1 else 'take'}. Nothing is live before it is published."
        )

    def includes(self) -> list[tuple[str, str]]:
        """How templates write it, each with what that means."""
        name, number = self.snippet.name, self.saved.number
        return [
            (f'{{% include "{name}" %}}', "follows: takes every new version"),
            (f'{{% include "{name}@{number}" %}}', f"pinned: stays on version {number}"),
        ]


@dataclass(frozen=True)
class Chosen:
    """A template to preview a snippet in, with all that is needed for it: no question is asked while a worker renders."""

    snippet: str
    template: str = ""
    body: str = ""
    declared: tuple[Parameter, ...] = ()
    library: Library = field(default_factory=lambda: Library({}))


@dataclass(frozen=True)
class InTemplate:
    """What the text would make of one template, rendered with its interaction's examples, against what is saved."""

    template: str
    rows: list[Row]
    problem: Problem | None = None

    @property
    def summary(self) -> str:
        """How much changes."""
        return str(textdiff.summary(self.rows))


@dataclass(frozen=True)
class SnippetPreview:
    """What can be said of a text before it is saved: what is wrong with it, and what becomes of one template."""

    problem: Problem | None
    shown: InTemplate | None = None


@dataclass(frozen=True)
class SnippetEditor:
    """The editor of one snippet; `broken` are the templates because of which it could not be saved."""

    page: SnippetPage
    preview: SnippetPreview
    templates: Sequence[tuple[str, str]]  # to preview in
    broken: Sequence[Broken] = ()
    theirs: SnippetVersion | None = None  # saved by somebody else while this was being written
    their_changes: list[Row] = field(default_factory=list)
    is_unsaved: bool = False
    note: Note | None = None  # of the person's draft


def snippet_list(session: Session, *, text: str, archived: bool) -> SnippetList:
    """Return the list, by code: those in use, or the archived ones."""
    every = services.list_snippets(session, archived=True)
    used = usage.counts(session)
    wanted = text.casefold()
    rows = [
        SnippetRow(
            code=snippet.code,
            name=snippet.name,
            description=snippet.description,
            newest=newest.number,
            used_in=used[snippet.code],
            archived=snippet.archived_at is not None,
            changed_at=newest.created_at,
            changed_by=newest.author_name,
        )
        for snippet in every
        if (newest := snippet.versions[0])
        and (snippet.archived_at is not None) == archived
        and wanted in f"{snippet.name}\n{snippet.description}\n{newest.body}".casefold()
    ]
    return SnippetList(rows, any_at_all=bool(every))


def snippet_page(session: Session, code: str) -> SnippetPage:
    """Return what one snippet's page shows."""
    snippet = services.get_snippet(session, code)
    environments = {each.code: each.name for each in list_environments(session)}
    uses = usage.uses(session, code, environments=list(environments))
    return SnippetPage(snippet, snippet.versions[0], uses, environments)


def chosen_in(session: Session, page: SnippetPage, template: str) -> Chosen:
    """Return what to preview in: the template asked for, if it follows the snippet, else the first that does, or nothing."""
    code = page.snippet.code
    following = {use.template: use for use in page.following}
    use = following.get(template) or next(iter(following.values()), None)
    version = prompts.latest_version(session, use.template) if use else None
    if use is None or version is None:
        return Chosen(code)
    declared = prompts.declared_parameters(session, use.interaction)
    return Chosen(code, use.template, version.body, declared, library_for(session, version.body))


def preview(chosen: Chosen, body: str) -> SnippetPreview:
    """Return what can be said of a text that was typed; a busy pool is told as the problem."""
    body = normalise(body)
    try:
        problem = problem_of(body)
        if problem is not None or not chosen.template:
            return SnippetPreview(problem)
        examples = {parameter.name: parameter.example for parameter in chosen.declared}
        libraries = (chosen.library, chosen.library.with_text(chosen.snippet, body))
        now, then = (
            IncludingPool(shared(), each).preview(chosen.body, examples, chosen.declared)
            for each in libraries
        )
    except RenderBusy as busy:
        return SnippetPreview(Problem(str(busy)))
    rows = textdiff.lines(now.text or "", then.text or "") if then.problem is None else []
    return SnippetPreview(None, InTemplate(chosen.template, rows, then.problem))

"""Reading snippets and writing them: create, save a version, archive.

A snippet is put into templates when they are saved, never when they are rendered. So a new version of a snippet makes a
new version of each template that follows it, in the same transaction: the number of a template's version means one text,
in every environment and every record, and publishing, reviewing and rolling back need to know nothing of snippets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.keys_in_text import find_key
from controlplane.audit.services import record
from controlplane.db import now
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.prompts import services as prompts
from controlplane.prompts import textdiff
from controlplane.prompts.documents import digest
from controlplane.prompts.models import PromptVersion
from controlplane.prompts.render_pool import shared
from controlplane.runtime.entries import LOWER_CODE
from controlplane.runtime.profile import normalise
from controlplane.runtime.renderer import Problem
from controlplane.snippets import usage
from controlplane.snippets.drafts import DRAFTS
from controlplane.snippets.expansion import NESTED, PREFIX, SnippetProblem, references
from controlplane.snippets.models import Snippet, SnippetVersion
from controlplane.snippets.texts import library_for

RESERVED: Final = frozenset({"new"})
NOT_A_CODE: Final = "Use small letters, digits and underscores, beginning with a letter: tone."
_REASON_LIMIT: Final = 500
_BROKEN_TOLD: Final = 5


class SnippetRefused(Refused):
    """The text cannot be a snippet; `line` is where, when that is known."""

    def __init__(self, problem: Problem) -> None:
        self.line = problem.line
        said = f"Line {problem.line}: {problem.message}" if problem.line else problem.message
        super().__init__({"body": said})


@dataclass(frozen=True)
class Broken:
    """A template that the text of a snippet would break, and how."""

    template: str
    problem: Problem

    @property
    def sentence(self) -> str:
        """With the line of the template."""
        line = f", line {self.problem.line}" if self.problem.line else ""
        return f"{self.template}{line}: {self.problem.message}"


class WouldBreak(Refused):
    """Templates that follow the snippet could not take this text; `broken` says which, and why."""

    def __init__(self, broken: Sequence[Broken], of: int) -> None:
        self.broken = broken
        told = "; ".join(each.sentence for each in broken[:_BROKEN_TOLD])
        rest = len(broken) - _BROKEN_TOLD
        more = f"; and {rest} more" if rest > 0 else ""
        templates = f"{len(broken)} of the {of} templates" if of > 1 else "the template"
        that = "follow" if of > 1 else "follows"
        super().__init__({"body": f"This would break {templates} that {that} it. {told}{more}."})


@dataclass(frozen=True)
class Saved:
    """A version of a snippet that was saved, and the versions of templates that came of it, by template."""

    version: SnippetVersion
    templates: Mapping[str, PromptVersion]


# Reading


def list_snippets(session: Session, *, archived: bool = False) -> Sequence[Snippet]:
    """Return snippets with their versions, by code; archived ones only when asked for."""
    query = select(Snippet).options(selectinload(Snippet.versions)).order_by(Snippet.code)
    if not archived:
        query = query.where(Snippet.archived_at.is_(None))
    return session.scalars(query).all()


def get_snippet(session: Session, code: str) -> Snippet:
    """Return the snippet with its versions, newest first."""
    query = select(Snippet).where(Snippet.code == code).options(selectinload(Snippet.versions))
    snippet = session.scalar(query.execution_options(populate_existing=True))
    if snippet is None:
        raise NotFound("snippet", code)
    return snippet


def get_version(session: Session, code: str, number: int) -> SnippetVersion:
    """Return one version of a snippet."""
    version = session.scalar(
        select(SnippetVersion).where(SnippetVersion.snippet_code == code, SnippetVersion.number == number)
    )
    if version is None:
        raise NotFound("version of this snippet", number)
    return version


# Writing


def create_snippet(
    session: Session, *, code: str, body: str, reason: str, actor: Actor, description: str = ""
) -> Snippet:
    """Make a snippet with its first version, for templates to include."""
    actor.require(Role.EDITOR)
    code = code.removeprefix(PREFIX)
    if not LOWER_CODE.fullmatch(code):
        raise Refused({"code": NOT_A_CODE})
    taken = Refused({"code": f"There is a snippet {PREFIX}{code} already."})
    if code in RESERVED:
        raise Refused({"code": f"{code} is the address of another page. Choose another code."})
    if session.get(Snippet, code) is not None:
        raise taken
    body = _checked(body)
    snippet = Snippet(code=code, description=description, created_at=now())
    try:
        with session.begin_nested():
            session.add(snippet)
            session.flush()
    except IntegrityError:  # somebody else made it between the check and here
        raise taken from None
    version = _add_version(session, snippet, 1, body, reason, actor)
    _record(
        session,
        snippet,
        "created",
        f"created snippet {snippet.name}: no template includes it yet",
        reason=reason,
        actor=actor,
        after=_told(version),
    )
    return snippet


def save_version(
    session: Session, snippet: Snippet, *, body: str, base_version: int, reason: str, actor: Actor
) -> Saved:
    """Save the text as the next version, and with it the next version of each template that follows the snippet.

    Raises `WouldBreak` with the templates that could not take it, `Conflict` when somebody saved one since `base_version`.
    The saver's draft is done with it and goes.
    """
    actor.require(Role.EDITOR)
    latest = _locked_latest(session, snippet)
    if latest.number != base_version:
        raise Conflict(
            f"{latest.author_name} saved version {latest.number} of {snippet.name} while you were editing."
        )
    if snippet.archived_at is not None:
        raise Refused({"": "This snippet is archived. Restore it before you change it."})
    if normalise(body) == latest.body:
        raise Refused({"body": f"Nothing changed: this is the text of version {latest.number}."})
    body = _checked(body)
    version = _add_version(session, snippet, latest.number + 1, body, reason, actor)
    following = prompts.hold_followers(session, snippet.code)
    library = library_for(session, *(newest.body for _, newest in following))
    broken = [
        Broken(prompt.code, problem)
        for prompt, newest in following
        if (problem := prompts.check_with(session, prompt, newest, library)) is not None
    ]
    if broken:
        raise WouldBreak(broken, len(following))
    DRAFTS.drop(session, snippet.code, actor=actor)
    what = textdiff.summary(textdiff.lines(latest.body, body))
    effect = usage.effect(session, [prompt.code for prompt, _ in following])
    _record(
        session,
        snippet,
        "version_saved",
        f"saved version {version.number} of snippet {snippet.name}: {what}; {effect}",
        reason=reason,
        actor=actor,
        before=_told(latest),
        after=_told(version)
        | {"templates": {prompt.code: newest.number + 1 for prompt, newest in following}},
    )
    why = f"{snippet.name} version {version.number}: {reason}"[:_REASON_LIMIT]
    templates = {
        prompt.code: prompts.take_snippet(
            session, prompt, newest, library, snippet=snippet.code, reason=why, actor=actor
        )
        for prompt, newest in following
    }
    return Saved(version, templates)


def archive_snippet(session: Session, snippet: Snippet, *, reason: str, actor: Actor) -> None:
    """Take the snippet away from those who write templates; refused while one includes it."""
    actor.require(Role.EDITOR)
    _locked_latest(session, snippet)
    uses = usage.uses(session, snippet.code)
    if uses:
        names = ", ".join(use.template for use in uses)
        raise Refused({"": f"This snippet is used: {names}. Take it out of these first."})
    if snippet.archived_at is not None:
        raise Refused({"": "This snippet is archived already."})
    snippet.archived_at = now()
    _record_archiving(session, snippet, "archived", "no template can include it", reason, actor)


def restore_snippet(session: Session, snippet: Snippet, *, reason: str, actor: Actor) -> None:
    """Let templates include an archived snippet again."""
    actor.require(Role.EDITOR)
    _locked_latest(session, snippet)
    if snippet.archived_at is None:
        raise Refused({"": "This snippet is not archived."})
    snippet.archived_at = None
    _record_archiving(session, snippet, "restored", "templates may include it again", reason, actor)


def problem_of(body: str) -> Problem | None:
    """Say why this text could be in no template at all, or None: it must be whole, and use no snippet and no outer loop.

    Which parameters there are depends on the template that includes it, so unknown names are no problem here.
    """
    if not body.strip():
        return Problem("there is nothing in it but white space")
    if "\x00" in body:
        line = body[: body.index("\x00")].count("\n") + 1
        return Problem("there is a NUL character here, which no text may hold", line)
    try:
        nested = references(body)
    except SnippetProblem as error:
        return Problem(NESTED, error.problem.line)
    if nested:
        return Problem(NESTED, nested[0].line)
    found = shared().preview(body, {}, (), patience=_PATIENCE)
    if "loop" in found.undeclared:
        return Problem("loop is there only between {% for %} and {% endfor %} of the snippet itself")
    return None if found.undeclared else found.problem


# As long as a save of a template waits for a worker.
_PATIENCE: Final = 8.0


def _checked(body: str) -> str:
    body = normalise(body)
    key = find_key(body)
    problem = Problem(key.words_in_a_template, key.line) if key else problem_of(body)
    if problem is not None:
        raise SnippetRefused(problem)
    return body


def _locked_latest(session: Session, snippet: Snippet) -> SnippetVersion:
    """Hold the snippet's row, so that nobody saves it or a template that includes it, and return its latest version."""
    session.refresh(snippet, ["archived_at"], with_for_update=True)
    query = select(SnippetVersion).where(SnippetVersion.snippet_code == snippet.code)
    latest = session.scalar(query.order_by(SnippetVersion.number.desc()).limit(1))
    if latest is None:
        raise NotFound("version of this snippet", 1)
    return latest


def _add_version(
    session: Session, snippet: Snippet, number: int, body: str, reason: str, actor: Actor
) -> SnippetVersion:
    version = SnippetVersion(
        snippet_code=snippet.code,
        number=number,
        body=body,
        sha256=digest(body),
        reason=reason,
        author_id=actor.id,
        author_name=actor.name,
        created_at=now(),
    )
    session.add(version)
    session.flush()
    return version


def _record_archiving(
    session: Session, snippet: Snippet, done: str, effect: str, reason: str, actor: Actor
) -> None:
    session.flush()
    _record(
        session,
        snippet,
        done,
        f"{done} snippet {snippet.name}: {effect}",
        reason=reason,
        actor=actor,
        before={"archived": done == "restored"},
        after={"archived": done == "archived"},
    )


def _record(
    session: Session, snippet: Snippet, done: str, sentence: str, *, reason: str, actor: Actor, **told: Any
) -> None:
    record(
        session,
        actor=actor,
        action=f"snippet.{done}",
        object_kind="snippet",
        object_key=snippet.code,
        sentence=sentence,
        reason=reason,
        **told,
    )


def _told(version: SnippetVersion) -> dict[str, Any]:
    return {"version": version.number, "sha256": version.sha256}

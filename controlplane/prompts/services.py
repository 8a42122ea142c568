"""Reading prompts and writing them: create, save a version, archive.

Every text is compiled and rendered once, in the render worker, before it becomes a version; the snippets that it includes
are put in then. Whoever saves is done with the private draft of it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.keys_in_text import find_key
from controlplane.audit.services import record
from controlplane.db import now
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.prompts import textdiff, usage
from controlplane.prompts.documents import digest
from controlplane.prompts.drafts import DRAFTS
from controlplane.prompts.models import Prompt, PromptVersion
from controlplane.prompts.new_drafts import NEW_DRAFTS
from controlplane.prompts.render_pool import shared
from controlplane.registry.models import Interaction
from controlplane.runtime.entries import LOWER_CODE
from controlplane.runtime.profile import normalise
from controlplane.runtime.renderer import Problem
from controlplane.samples import services as samples
from controlplane.snippets.expansion import PREFIX, Expanded, SnippetProblem
from controlplane.snippets.texts import IncludingPool, Library, library_for

RESERVED = frozenset({"new", "snippets"})
# What the prompts of an interaction may use.
declared_parameters = samples.declared_parameters
NOT_A_CODE = "Use small letters, digits and underscores, beginning with a letter: coaching_response."


class BodyRefused(Refused):
    """The text cannot be a prompt; `line` and `column` are where, when that is known."""

    def __init__(self, problem: Problem, field: str = "body") -> None:
        self.line, self.column = problem.line, problem.column
        where = f"Line {self.line}" if self.line else ""
        where += f", column {self.column}" if self.line and self.column else ""
        super().__init__({field: f"{where}: {problem.message}" if where else problem.message})


# Reading


def list_prompts(
    session: Session, *, interaction: str | None = None, archived: bool = False
) -> Sequence[Prompt]:
    """Return prompts by code, of one interaction or of all; archived ones only when asked for."""
    query = select(Prompt).order_by(Prompt.code)
    if interaction is not None:
        query = query.where(Prompt.interaction == interaction)
    if not archived:
        query = query.where(Prompt.archived_at.is_(None))
    return session.scalars(query).all()


def get_prompt(session: Session, code: str) -> Prompt:
    """Return the prompt with its versions, newest first."""
    query = select(Prompt).where(Prompt.code == code).options(selectinload(Prompt.versions))
    prompt = session.scalar(query.execution_options(populate_existing=True))
    if prompt is None:
        raise NotFound("template", code)
    return prompt


def get_version(session: Session, code: str, number: int) -> PromptVersion:
    """Return one version of a prompt."""
    version = session.scalar(
        select(PromptVersion).where(PromptVersion.prompt_code == code, PromptVersion.number == number)
    )
    if version is None:
        raise NotFound("version of this template", number)
    return version


def latest_version(session: Session, code: str) -> PromptVersion | None:
    """Return what is saved of a prompt."""
    return session.scalar(
        select(PromptVersion)
        .where(PromptVersion.prompt_code == code)
        .order_by(PromptVersion.number.desc())
        .limit(1)
    )


def pool_for(session: Session, body: str) -> IncludingPool:
    """Return the render pool that puts into this text the snippets it includes."""
    return IncludingPool(shared(), library_for(session, body))


def as_written(session: Session, hashes: Iterable[str]) -> dict[str, str]:
    """Return, by the digest of their whole text, what was written of those versions that include snippets."""
    query = select(PromptVersion.sha256, PromptVersion.body).where(
        PromptVersion.sha256.in_(sorted(set(hashes))), PromptVersion.snippets.is_not(None)
    )
    return dict(session.execute(query.order_by(PromptVersion.created_at, PromptVersion.number)).all())


def free_code(session: Session, interaction: str) -> str:
    """Return a code for a further prompt of an interaction: kpi_analysis, or kpi_analysis_2 when that is taken."""
    stem = interaction.lower()
    taken = set(session.scalars(select(Prompt.code).where(Prompt.code.startswith(stem, autoescape=True))))
    further = (f"{stem}_{number}" for number in range(2, len(taken) + 3))
    return next(code for code in (stem, *further) if code not in taken)


# Writing


def create_prompt(
    session: Session,
    *,
    code: str,
    interaction: str,
    body: str,
    reason: str,
    actor: Actor,
    description: str = "",
) -> Prompt:
    """Make a prompt with its first version. It is not live until it is published."""
    actor.require(Role.EDITOR)
    _check_place(session, code, interaction)
    body, library = normalise(body), library_for(session, body, hold=True)
    expanded = _checked(session, body, library, interaction)
    prompt = Prompt(code=code, interaction=interaction, description=description, created_at=now())
    try:
        with session.begin_nested():
            session.add(prompt)
            session.flush()
    except IntegrityError:  # somebody else made it between the check and here
        raise Refused({"code": f"There is a template {code} already."}) from None
    version = _add_version(session, prompt, 1, body, expanded, reason, actor)
    NEW_DRAFTS.drop(session, interaction, actor=actor)
    record(
        session,
        actor=actor,
        action="prompt.created",
        object_kind="prompt",
        object_key=code,
        sentence=f"created template {code} for {interaction}, {_size(body)}",
        reason=reason,
        after=_told(version) | {"interaction": interaction},
    )
    return prompt


def save_version(
    session: Session, prompt: Prompt, *, body: str, base_version: int, reason: str, actor: Actor
) -> PromptVersion:
    """Save the text as the next version, unless somebody saved another text since `base_version`. Not live until published.

    The saver's draft is done with it and goes. A version that only has a newer snippet in it is in nobody's way.
    """
    actor.require(Role.EDITOR)
    body = normalise(body)
    library = library_for(session, body, hold=True)
    latest = _locked_latest(session, prompt)
    if latest.number != base_version and not _is_text_of(session, prompt, base_version, latest.body):
        raise Conflict(
            f"{latest.author_name} saved version {latest.number} of {prompt.code} while you were editing."
        )
    if prompt.archived_at is not None:
        raise Refused({"": "This template is archived. Restore it before you change it."})
    if body == latest.body:
        raise Refused({"body": f"Nothing changed: this is the text of version {latest.number}."})
    expanded = _checked(session, body, library, prompt.interaction)
    version = _add_version(session, prompt, latest.number + 1, body, expanded, reason, actor)
    DRAFTS.drop(session, prompt.code, actor=actor)
    what = textdiff.summary(textdiff.lines(latest.body, body))
    record(
        session,
        actor=actor,
        action="prompt.version_saved",
        object_kind="prompt",
        object_key=prompt.code,
        sentence=f"saved version {version.number} of template {prompt.code}: {what}",
        reason=reason,
        before=_told(latest),
        after=_told(version),
    )
    return version


def archive_prompt(session: Session, prompt: Prompt, *, reason: str, actor: Actor) -> None:
    """Take the prompt out of what is saved; refused while a configuration takes it, here or live anywhere."""
    actor.require(Role.EDITOR)
    _locked_latest(session, prompt)
    uses = [*usage.saved_uses(session, prompt.code), *usage.live_uses(session, prompt.code)]
    if uses:
        places = "; ".join(dict.fromkeys(use.sentence for use in uses))
        raise Refused({"": f"This template is used: {places}. Change these first."})
    if prompt.archived_at is not None:
        raise Refused({"": "This template is archived already."})
    prompt.archived_at = now()
    _record_archiving(
        session, prompt, "archived", "it leaves each environment with the next publish", reason, actor
    )


def restore_prompt(session: Session, prompt: Prompt, *, reason: str, actor: Actor) -> None:
    """Bring an archived prompt back into what is saved."""
    actor.require(Role.EDITOR)
    saved = latest_version(session, prompt.code)
    library = library_for(session, saved.body if saved else "", hold=True)
    latest = _locked_latest(session, prompt)
    if prompt.archived_at is None:
        raise Refused({"": "This template is not archived."})
    interaction = session.get(Interaction, prompt.interaction)
    if interaction is None or interaction.archived_at is not None:
        raise Refused({"": f"The interaction {prompt.interaction} is archived. Bring it back first."})
    prompt.archived_at = None
    effect = "configurations may take it again"
    if latest.snippets:
        expanded = _checked(session, latest.body, library, prompt.interaction, field="")
        if digest(expanded.text) != latest.sha256:  # while it was archived, its snippets went on without it
            version = _add_version(session, prompt, latest.number + 1, latest.body, expanded, reason, actor)
            effect += f", as version {version.number} with the snippets of today"
    _record_archiving(session, prompt, "restored", effect, reason, actor)


def hold_followers(session: Session, snippet: str) -> list[tuple[Prompt, PromptVersion]]:
    """Return the templates whose newest version follows a snippet, by code, and keep others from saving them.

    Whoever asks holds the snippet already, so that no template can begin to follow it meanwhile.
    """
    found = []
    for code in followers(session, snippet):
        prompt = session.get_one(Prompt, code)
        latest = _locked_latest(session, prompt)
        if prompt.archived_at is None and snippet in (latest.snippets or {}):
            found.append((prompt, latest))
    return found


def followers(session: Session, snippet: str) -> Sequence[str]:
    """Return the codes of the templates whose newest version follows a snippet."""
    newest = (
        select(PromptVersion.prompt_code, PromptVersion.snippets)
        .ext(distinct_on(PromptVersion.prompt_code))
        .order_by(PromptVersion.prompt_code, PromptVersion.number.desc())
        .subquery()
    )
    query = select(newest.c.prompt_code).join(Prompt, Prompt.code == newest.c.prompt_code)
    query = query.where(Prompt.archived_at.is_(None), newest.c.snippets.has_key(snippet))
    return session.scalars(query.order_by(newest.c.prompt_code)).all()


def check_with(session: Session, prompt: Prompt, latest: PromptVersion, library: Library) -> Problem | None:
    """Say why the newest text of a template could not be saved with these snippets, or None."""
    return _problem(session, latest.body, library, prompt.interaction)


def take_snippet(
    session: Session,
    prompt: Prompt,
    latest: PromptVersion,
    library: Library,
    *,
    snippet: str,
    reason: str,
    actor: Actor,
) -> PromptVersion:
    """Save the next version of a template that is held, with the same text and a newer snippet in it."""
    expanded = library.expand(latest.body)
    version = _add_version(session, prompt, latest.number + 1, latest.body, expanded, reason, actor)
    what = textdiff.summary(textdiff.lines(latest.text, version.text))
    took = f"{PREFIX}{snippet} version {expanded.taken[snippet]}"
    record(
        session,
        actor=actor,
        action="prompt.version_saved",
        object_kind="prompt",
        object_key=prompt.code,
        sentence=f"saved version {version.number} of template {prompt.code}, with {took}: {what}",
        reason=reason,
        before=_told(latest),
        after=_told(version),
    )
    return version


def _record_archiving(
    session: Session, prompt: Prompt, done: str, effect: str, reason: str, actor: Actor
) -> None:
    session.flush()
    record(
        session,
        actor=actor,
        action=f"prompt.{done}",
        object_kind="prompt",
        object_key=prompt.code,
        sentence=f"{done} template {prompt.code}: {effect}",
        reason=reason,
        before={"archived": done == "restored"},
        after={"archived": done == "archived"},
    )


def _check_place(session: Session, code: str, interaction: str) -> None:
    errors = {}
    if not LOWER_CODE.fullmatch(code):
        errors["code"] = NOT_A_CODE
    elif code in RESERVED:
        errors["code"] = f"{code} is the address of another page. Choose another code."
    elif session.get(Prompt, code) is not None:
        errors["code"] = f"There is a template {code} already."
    found = session.get(Interaction, interaction)
    if found is None or found.archived_at is not None:
        errors["interaction"] = f"There is no interaction {interaction}."
    if errors:
        raise Refused(errors)


def _checked(
    session: Session, body: str, library: Library, interaction: str, *, field: str = "body"
) -> Expanded:
    """Return the text with its snippets put in, once the render worker has found nothing against it."""
    _refuse_nul(body)
    _refuse_key(body, field)
    problem = _problem(session, body, library, interaction)
    if problem is not None:
        raise BodyRefused(problem, field)
    try:
        return library.expand(body)
    except SnippetProblem as error:
        raise BodyRefused(error.problem, field) from None


def _problem(session: Session, body: str, library: Library, interaction: str) -> Problem | None:
    known = [sample.values for sample in samples.list_samples(session, interaction)]
    pool = IncludingPool(shared(), library)
    return pool.check(body, declared_parameters(session, interaction), samples=known)


def _refuse_nul(text: str) -> None:
    if "\x00" in text:
        line = text[: text.index("\x00")].count("\n") + 1
        raise BodyRefused(Problem("there is a NUL character here, which no text may hold.", line))


def _is_text_of(session: Session, prompt: Prompt, number: int, body: str) -> bool:
    query = select(PromptVersion.id).where(
        PromptVersion.prompt_code == prompt.code, PromptVersion.number == number, PromptVersion.body == body
    )
    return session.scalar(query) is not None


def _refuse_key(text: str, field: str) -> None:
    found = find_key(text)
    if found is not None:
        raise BodyRefused(Problem(found.words_in_a_template, found.line), field)


def _locked_latest(session: Session, prompt: Prompt) -> PromptVersion:
    """Hold the prompt's row, so that two savers come one after the other, and return its latest version."""
    session.refresh(prompt, ["archived_at"], with_for_update=True)
    latest = latest_version(session, prompt.code)
    if latest is None:
        raise NotFound("version of this template", 1)
    return latest


def _add_version(
    session: Session, prompt: Prompt, number: int, body: str, expanded: Expanded, reason: str, actor: Actor
) -> PromptVersion:
    version = PromptVersion(
        prompt_code=prompt.code,
        number=number,
        body=body,
        expanded=expanded.text if expanded.taken else None,
        snippets=dict(expanded.taken) or None,
        sha256=digest(expanded.text),
        reason=reason,
        author_id=actor.id,
        author_name=actor.name,
        created_at=now(),
    )
    session.add(version)
    session.flush()
    return version


def _told(version: PromptVersion) -> dict[str, Any]:
    told = {"version": version.number, "sha256": version.sha256}
    return told | {"snippets": version.snippets} if version.snippets else told


def _size(body: str) -> str:
    lines = body.rstrip("\n").count("\n") + 1
    return f"{lines} line{'s' if lines != 1 else ''}"

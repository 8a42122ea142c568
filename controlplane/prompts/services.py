"""Reading prompts and writing them: create, save a version, keep a private draft, archive.

Every text is compiled and rendered once, in the render worker, before it becomes a version. Drafts are private work and
leave no audit event; what they become does.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.keys_in_text import find_key
from controlplane.audit.services import record
from controlplane.db import Json, now
from controlplane.drafts import Drafts, storable
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.prompts import textdiff, usage
from controlplane.prompts.documents import digest
from controlplane.prompts.models import Prompt, PromptDraft, PromptVersion
from controlplane.prompts.render_pool import shared
from controlplane.registry.models import Interaction
from controlplane.runtime.entries import LOWER_CODE, Parameter
from controlplane.runtime.profile import normalise
from controlplane.runtime.renderer import Problem

RESERVED = frozenset({"new"})
DRAFTS: Final = Drafts(PromptDraft, PromptDraft.prompt_code)
NOT_A_CODE = "Use small letters, digits and underscores, beginning with a letter: coaching_response."


class BodyRefused(Refused):
    """The text cannot be a prompt; `line` is where, when that is known."""

    def __init__(self, problem: Problem) -> None:
        self.line = problem.line
        super().__init__(
            {"body": f"Line {problem.line}: {problem.message}" if problem.line else problem.message}
        )


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


def declared_parameters(session: Session, interaction: str) -> tuple[Parameter, ...]:
    """Return what the prompts of an interaction may use."""
    found = session.get(Interaction, interaction)
    if found is None:
        raise NotFound("interaction", interaction)
    return tuple(Parameter(**parameter) for parameter in found.parameters)


def free_code(session: Session, interaction: str) -> str:
    """Return a code for a further prompt of an interaction: kpi_analysis, or kpi_analysis_2 when that is taken."""
    stem = interaction.lower()
    taken = set(session.scalars(select(Prompt.code).where(Prompt.code.startswith(stem, autoescape=True))))
    further = (f"{stem}_{number}" for number in range(2, len(taken) + 3))
    return next(code for code in (stem, *further) if code not in taken)


def get_draft(session: Session, code: str, *, actor: Actor) -> PromptDraft | None:
    """Return this person's unsaved work on a prompt."""
    return DRAFTS.find(session, code, actor=actor)


def draft_codes(session: Session, *, actor: Actor) -> set[str]:
    """Return the prompts on which this person has unsaved work."""
    return {draft.prompt_code for draft in DRAFTS.all_of(session, actor=actor)}


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
    body = _checked(session, body, interaction)
    prompt = Prompt(code=code, interaction=interaction, description=description, created_at=now())
    try:
        with session.begin_nested():
            session.add(prompt)
            session.flush()
    except IntegrityError:  # somebody else made it between the check and here
        raise Refused({"code": f"There is a template {code} already."}) from None
    version = _add_version(session, prompt, 1, body, reason, actor)
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
    """Save the text as the next version, unless somebody saved one since `base_version`. Not live until published.

    The saver's draft is done with it and goes.
    """
    actor.require(Role.EDITOR)
    latest = _locked_latest(session, prompt)
    if latest.number != base_version:
        raise Conflict(
            f"{latest.author_name} saved version {latest.number} of {prompt.code} while you were editing."
        )
    if prompt.archived_at is not None:
        raise Refused({"": "This template is archived. Restore it before you change it."})
    if normalise(body) == latest.body:
        raise Refused({"body": f"Nothing changed: this is the text of version {latest.number}."})
    body = _checked(session, body, prompt.interaction)
    version = _add_version(session, prompt, latest.number + 1, body, reason, actor)
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


def save_draft(
    session: Session, prompt: Prompt, *, body: str, parameters: Json, base_version: int, actor: Actor
) -> PromptDraft | None:
    """Keep this person's unsaved work, whatever state it is in; nobody else sees it.

    None when there is nothing to keep: somebody saved this very text since, most often the same person a moment ago.
    """
    actor.require(Role.EDITOR)
    body = normalise(body)
    DRAFTS.hold(session, prompt.code, actor=actor)
    latest = latest_version(session, prompt.code)
    if latest is not None and base_version < latest.number and body == latest.body:
        DRAFTS.drop(session, prompt.code, actor=actor)
        return None
    typed = {**storable({"body": body}), "parameters": storable(parameters)}
    return DRAFTS.keep(session, prompt.code, base_version=base_version, typed=typed, actor=actor)


def discard_draft(session: Session, prompt: Prompt, *, actor: Actor) -> None:
    """Throw this person's unsaved work away."""
    actor.require(Role.EDITOR)
    DRAFTS.discard(session, prompt.code, actor=actor)


def bring_draft_back(session: Session, prompt: Prompt, *, actor: Actor) -> bool:
    """Undo `discard_draft`; False when there is nothing to be had back any more."""
    actor.require(Role.EDITOR)
    return DRAFTS.bring_back(session, prompt.code, actor=actor)


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
    _locked_latest(session, prompt)
    if prompt.archived_at is None:
        raise Refused({"": "This template is not archived."})
    interaction = session.get(Interaction, prompt.interaction)
    if interaction is None or interaction.archived_at is not None:
        raise Refused({"": f"The interaction {prompt.interaction} is archived. Bring it back first."})
    prompt.archived_at = None
    _record_archiving(session, prompt, "restored", "configurations may take it again", reason, actor)


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


def _checked(session: Session, body: str, interaction: str) -> str:
    """Return the text as it is kept, once the render worker has found nothing against it."""
    body = _without_keys(_without_nul(normalise(body)))
    problem = shared().check(body, declared_parameters(session, interaction))
    if problem is not None:
        raise BodyRefused(problem)
    return body


def _without_nul(text: str) -> str:
    if "\x00" in text:
        line = text[: text.index("\x00")].count("\n") + 1
        raise BodyRefused(Problem("there is a NUL character here, which no text may hold.", line))
    return text


def _without_keys(text: str) -> str:
    found = find_key(text)
    if found is not None:
        raise BodyRefused(
            Problem(
                f"there is what looks like {found.what} here. A text stays for ever and is sent to every process: take it out,"
                " and have it replaced where it is valid. If it is none, write {# not a key #} on the same line.",
                found.line,
            )
        )
    return text


def _locked_latest(session: Session, prompt: Prompt) -> PromptVersion:
    """Hold the prompt's row, so that two savers come one after the other, and return its latest version."""
    session.refresh(prompt, ["archived_at"], with_for_update=True)
    latest = latest_version(session, prompt.code)
    if latest is None:
        raise NotFound("version of this template", 1)
    return latest


def _add_version(
    session: Session, prompt: Prompt, number: int, body: str, reason: str, actor: Actor
) -> PromptVersion:
    version = PromptVersion(
        prompt_code=prompt.code,
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


def _told(version: PromptVersion) -> dict[str, Any]:
    return {"version": version.number, "sha256": version.sha256}


def _size(body: str) -> str:
    lines = body.rstrip("\n").count("\n") + 1
    return f"{lines} line{'s' if lines != 1 else ''}"

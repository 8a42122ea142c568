"""Where snippets are used: templates by the versions of theirs that include one, and through them configurations."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select, tuple_
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from controlplane.db import Json
from controlplane.prompts import usage as prompts
from controlplane.prompts.models import Prompt, PromptVersion
from controlplane.snippets.expansion import PREFIX

EntryPair = tuple[str, Json | None, Json | None]


@dataclass(frozen=True)
class Live:
    """A version of a template that is live in an environment, and the versions of the snippet in it."""

    environment: str
    template_version: int
    versions: tuple[int, ...]


@dataclass(frozen=True)
class Use:
    """A template whose saved version includes a snippet: following its newest version, pinned to some, or both."""

    template: str
    interaction: str
    saved: int
    follows: int | None  # the version that it has, as it follows
    pinned: tuple[int, ...]
    configurations: tuple[prompts.Use, ...]  # those that take whichever version of the template is live
    live: tuple[Live, ...] = ()

    @property
    def takes(self) -> str:
        """Which versions of the snippet it has, in words."""
        pinned = [f"pinned to v{number}" for number in self.pinned]
        told = ", ".join(([] if self.follows is None else [f"follows, v{self.follows}"]) + pinned)
        return told[:1].upper() + told[1:]


def uses(session: Session, code: str, *, environments: Sequence[str] = ()) -> list[Use]:
    """Return the templates whose saved version includes a snippet, by code, with what is live of them in environments."""
    newest = (
        select(PromptVersion.prompt_code, PromptVersion.number, PromptVersion.snippets)
        .ext(distinct_on(PromptVersion.prompt_code))
        .order_by(PromptVersion.prompt_code, PromptVersion.number.desc())
        .subquery()
    )
    query = (
        select(Prompt.code, Prompt.interaction, newest.c.number, newest.c.snippets)
        .join(newest, newest.c.prompt_code == Prompt.code)
        .where(Prompt.archived_at.is_(None), newest.c.snippets.is_not(None))
        .order_by(Prompt.code)
    )
    takers = prompts.following(session)
    found = []
    for template, interaction, saved, taken in session.execute(query):
        follows, pinned = taken.get(code), _pinned(taken, code)
        if follows is not None or pinned:
            configurations = tuple(takers.get(template, ()))
            found.append(Use(template, interaction, saved, follows, pinned, configurations))
    return _with_what_is_live(session, code, found, environments)


def counts(session: Session) -> Counter[str]:
    """Count, for each snippet, the templates whose saved version includes it."""
    newest = (
        select(PromptVersion.prompt_code, PromptVersion.snippets)
        .ext(distinct_on(PromptVersion.prompt_code))
        .order_by(PromptVersion.prompt_code, PromptVersion.number.desc())
        .subquery()
    )
    query = select(newest.c.snippets).join(Prompt, Prompt.code == newest.c.prompt_code)
    query = query.where(Prompt.archived_at.is_(None), newest.c.snippets.is_not(None))
    return Counter(
        code for taken in session.scalars(query) for code in {name.partition("@")[0] for name in taken}
    )


def effect(session: Session, templates: Sequence[str]) -> str:
    """Return what a new version of a snippet does that these templates follow, in words."""
    if not templates:
        return "no template follows it"
    return f"a new version of {affected(session, templates)}"


def affected(session: Session, templates: Sequence[str]) -> str:
    """Return how many templates these are and how many configurations take them: "5 templates, 12 configurations"."""
    takers = prompts.following(session)
    count = sum(len(takers.get(code, ())) for code in templates)
    return f"{counted(len(templates), 'template')}, {counted(count, 'configuration')}"


def told_of(session: Session, changes: Iterable[EntryPair]) -> list[str]:
    """Return what newer snippets change among entries of templates: "shared/tone version 3 changes 5 templates, …".

    `changes` are keys of entries, each with its document before and after.
    """
    moved: dict[tuple[str, int], list[str]] = {}
    for key, before, after in changes:
        kind, _, template = key.partition("/")
        if kind != "prompt":
            continue
        old, new = ((document or {}).get("snippets") or {} for document in (before, after))
        for name, number in new.items():
            if old.get(name, number) != number:
                moved.setdefault((name, number), []).append(template)
    return [
        f"{PREFIX}{name} version {number} changes {affected(session, templates)}"
        for (name, number), templates in sorted(moved.items())
    ]


def counted(count: int, what: str) -> str:
    """Return "1 template" or "5 templates"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _pinned(taken: Mapping[str, int], code: str) -> tuple[int, ...]:
    return tuple(sorted(number for name, number in taken.items() if name.startswith(f"{code}@")))


def _with_what_is_live(
    session: Session, code: str, found: Sequence[Use], environments: Iterable[str]
) -> list[Use]:
    live = {environment: prompts.live_versions(session, environment) for environment in environments}
    wanted = {
        (use.template, versions[use.template])
        for use in found
        for versions in live.values()
        if use.template in versions
    }
    query = select(PromptVersion.prompt_code, PromptVersion.number, PromptVersion.snippets)
    taken = {
        (template, number): snippets or {}
        for template, number, snippets in session.execute(
            query.where(tuple_(PromptVersion.prompt_code, PromptVersion.number).in_(sorted(wanted)))
        )
    }
    return [
        dataclasses.replace(
            use,
            live=tuple(
                Live(environment, number, _versions(taken.get((use.template, number), {}), code))
                for environment, versions in live.items()
                if (number := versions.get(use.template)) is not None
            ),
        )
        for use in found
    ]


def _versions(taken: Mapping[str, int], code: str) -> tuple[int, ...]:
    return tuple(sorted({number for name, number in taken.items() if name.partition("@")[0] == code}))

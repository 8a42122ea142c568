"""What the pages about prompts show, prepared as values: the templates only lay it out."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from controlplane.prompts import services, textdiff, usage
from controlplane.prompts.models import Prompt, PromptVersion
from controlplane.prompts.textdiff import Row
from controlplane.prompts.usage import Live, Use
from controlplane.registry.models import Interaction

PER_PAGE = 100


class State(Enum):
    """How what is saved stands to what is live; with its word and its tone."""

    LIVE = ("live", "Live", "live")
    DIFFERS = ("differs", "Differs", "differs")
    NOT_LIVE = ("not-live", "Not live", "draft")
    ARCHIVED = ("archived", "Archived", "archived")

    def __init__(self, code: str, label: str, tone: str) -> None:
        self.code = code
        self.label = label
        self.tone = tone


@dataclass(frozen=True)
class Filters:
    """What the list was asked for; blank means all."""

    text: str = ""
    interaction: str = ""
    status: str = ""
    page: int = 1


@dataclass(frozen=True)
class PromptRow:
    """One line of the list."""

    code: str
    interaction: str
    saved: int
    live: int | None
    used_by: int
    state: State
    changed_at: dt.datetime
    changed_by: str
    has_draft: bool


@dataclass(frozen=True)
class PromptList:
    """The list's page: the lines on it, and how many there are in all."""

    rows: list[PromptRow]
    total: int
    page: int
    any_at_all: bool

    @property
    def newer(self) -> int | None:
        """The page before this one."""
        return self.page - 1 if self.page > 1 else None

    @property
    def older(self) -> int | None:
        """The page after this one."""
        return self.page + 1 if self.page * PER_PAGE < self.total else None

    @property
    def summary(self) -> str:
        """How many lines, and of how many."""
        templates = f"{self.total:,} template{'s' if self.total != 1 else ''}"
        return f"{len(self.rows):,} of {templates}" if len(self.rows) < self.total else templates


@dataclass(frozen=True)
class PromptPage:
    """One prompt in one environment."""

    prompt: Prompt
    saved: PromptVersion
    live: Live | None
    live_version: PromptVersion | None
    live_elsewhere: list[Live]
    changes: list[Row]
    uses: list[Use]

    @property
    def state(self) -> State:
        """How what is saved stands to what is live here."""
        return _state(self.prompt.archived_at, self.saved.number, self.live.version if self.live else None)

    @property
    def change_summary(self) -> str:
        """How much differs from what is live."""
        told = str(textdiff.summary(self.changes))
        same = self.live_version is not None and self.live_version.text == self.saved.text
        return f"{told}, all in how it is written: the model is given the same" if same else told

    def marks(self, version: PromptVersion) -> list[tuple[str, str]]:
        """Tones and words for the chips beside a version: what it is at this moment."""
        found = []
        if self.live and self.live.version == version.number:
            found.append(("live", "Live"))
        elif version.number == self.saved.number:
            found.append(("draft", "Saved"))
        found.extend(
            ("neutral", f"Live in {live.environment}")
            for live in self.live_elsewhere
            if live.version == version.number
        )
        return found


def prompt_list(session: Session, environment: str, filters: Filters, *, drafts_of: set[str]) -> PromptList:
    """Return a page of the list, by code; three queries, however long it is."""
    live = usage.live_versions(session, environment)
    used = usage.counts(session)
    latest = (
        select(PromptVersion)
        .ext(distinct_on(PromptVersion.prompt_code))
        .order_by(PromptVersion.prompt_code, PromptVersion.number.desc())
        .subquery()
    )
    query = (
        select(Prompt, latest.c.number, latest.c.created_at, latest.c.author_name)
        .join(latest, latest.c.prompt_code == Prompt.code)
        .where(*_conditions(filters, latest.c.body))
        .order_by(Prompt.code)
    )
    rows = [
        PromptRow(
            code=prompt.code,
            interaction=prompt.interaction,
            saved=number,
            live=live.get(prompt.code),
            used_by=used[prompt.code],
            state=_state(prompt.archived_at, number, live.get(prompt.code)),
            changed_at=changed_at,
            changed_by=author,
            has_draft=prompt.code in drafts_of,
        )
        for prompt, number, changed_at, author in session.execute(query)
    ]
    wanted = [row for row in rows if row.state.code == filters.status or not filters.status]
    start = (filters.page - 1) * PER_PAGE
    return PromptList(
        wanted[start : start + PER_PAGE],
        total=len(wanted),
        page=filters.page,
        any_at_all=bool(rows) or session.scalar(select(Prompt.code).limit(1)) is not None,
    )


def prompt_page(session: Session, environment: str, code: str) -> PromptPage:
    """Return what one prompt's page shows."""
    prompt = services.get_prompt(session, code)
    everywhere = usage.live(session, code)
    live = everywhere.pop(environment, None)
    live_version = next((v for v in prompt.versions if live and v.number == live.version), None)
    saved = prompt.versions[0]
    return PromptPage(
        prompt=prompt,
        saved=saved,
        live=live,
        live_version=live_version,
        live_elsewhere=sorted(everywhere.values(), key=lambda found: found.environment),
        changes=changes_between(live_version, saved) if live_version else [],
        uses=usage.saved_uses(session, code),
    )


def changes_between(old: PromptVersion, new: PromptVersion) -> list[Row]:
    """Return what changes in what the model is given; where nothing does, in what was written."""
    return textdiff.lines(old.text, new.text) or textdiff.lines(old.body, new.body)


def interaction_codes(session: Session) -> Sequence[str]:
    """Return the interactions that may be chosen, in the order of their codes."""
    return session.scalars(
        select(Interaction.code).where(Interaction.archived_at.is_(None)).order_by(Interaction.code)
    ).all()


def _conditions(filters: Filters, body: ColumnElement[str]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.status != State.ARCHIVED.code:
        conditions.append(Prompt.archived_at.is_(None))
    if filters.interaction:
        conditions.append(Prompt.interaction == filters.interaction)
    if filters.text:
        searched = (Prompt.code, Prompt.interaction, Prompt.description, body)
        conditions.append(or_(*(column.icontains(filters.text, autoescape=True) for column in searched)))
    return conditions


def _state(archived_at: dt.datetime | None, saved: int, live: int | None) -> State:
    if archived_at is not None:
        return State.ARCHIVED
    if live is None:
        return State.NOT_LIVE
    return State.LIVE if live == saved else State.DIFFERS

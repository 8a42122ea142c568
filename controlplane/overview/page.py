"""What the overview shows, asked of the features below it and put together."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.audit.models import AuditEvent
from controlplane.audit.queries import last_changes
from controlplane.configurations.coverage import Cell, Row, Source, coverage
from controlplane.configurations.models import ConfigurationVersion
from controlplane.configurations.places import Place
from controlplane.configurations.states import Standing, share_words, standing
from controlplane.db import Json
from controlplane.prompts.models import PromptVersion
from controlplane.proposals import listing
from controlplane.registry.models import Environment
from controlplane.registry.services import list_interactions, list_tiers
from controlplane.releases.diff import EntryChange, diff
from controlplane.releases.history import latest_release
from controlplane.releases.models import Release
from controlplane.releases.saved import live_entries, saved_entries
from controlplane.releases.steps import Export, State, export_of
from controlplane.releases.words import sentence
from controlplane.reviews import listing as reviews
from controlplane.rollouts.models import Rollout

UNPUBLISHED_SHOWN = 5
CHANGES_SHOWN = 8
NEEDED_SHOWN = 5


@dataclass(frozen=True)
class LiveRelease:
    """The newest release and how far it has come on its way to the services."""

    release: Release
    export: Export

    @property
    def tone(self) -> str:
        """The tone of its chip."""
        return _TONES[self.export.state]

    @property
    def words(self) -> str:
        """The words of its chip."""
        return _WORDS[self.export.state]


_TONES = {
    State.WAITING: "scheduled",
    State.RUNNING: "rolling",
    State.DONE: "live",
    State.FAILED: "failed",
    State.SUPERSEDED: "archived",
}
_WORDS = {
    State.WAITING: "Waits for the worker",
    State.RUNNING: "On its way",
    State.DONE: "Live",
    State.FAILED: "Export failed, is tried again",
    State.SUPERSEDED: "Superseded",
}


@dataclass(frozen=True)
class RunningRollout:
    """A live entry with more than one variant."""

    place: Place
    standing: Standing


@dataclass(frozen=True)
class Needed:
    """What waits for whoever looks: proposals, and what they have to review or were asked about, the most urgent first."""

    proposals: Sequence[listing.Row]
    reviews: Sequence[reviews.Row]

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.proposals or self.reviews)


@dataclass(frozen=True)
class Step:
    """One step of the first-run list."""

    label: str
    hint: str
    done: bool
    page: str


@dataclass(frozen=True)
class Overview:
    """The page."""

    live: LiveRelease | None
    needed: Needed
    asks_for_approval: bool
    tiers: tuple[str, ...]
    grid: list[Row]
    unpublished: int
    unpublished_words: list[str]
    rollouts: list[RunningRollout]
    changes: Sequence[AuditEvent]
    steps: list[Step]

    @property
    def first_steps(self) -> list[Step]:
        """The first-run list, until all of it is done."""
        return [] if all(step.done for step in self.steps) else self.steps

    @property
    def cells(self) -> int:
        """How many cells the grid has."""
        return sum(len(row.cells) for row in self.grid)

    @property
    def missing(self) -> int:
        """How many cells nothing answers for."""
        return sum(cell.source in {Source.NONE, Source.BROKEN} for row in self.grid for cell in row.cells)

    @property
    def own(self) -> int:
        """How many cells have a configuration of their own."""
        return sum(cell.source is Source.OWN for row in self.grid for cell in row.cells)


def overview(
    session: Session, environment: Environment, *, actor: Actor, now: dt.datetime, with_steps: bool
) -> Overview:
    """Everything the page shows to the actor; some fourteen queries, whatever the number of configurations."""
    code = environment.code
    entries = live_entries(session, code)
    changes = diff(entries, saved_entries(session, code)[0])
    tiers = tuple(tier.code for tier in list_tiers(session))
    interactions = [row.code for row in list_interactions(session)]
    return Overview(
        live=_live_release(session, code),
        needed=Needed(
            listing.needing(session, environment, actor=actor)[:NEEDED_SHOWN],
            reviews.needing(session, code, actor=actor, now=now, limit=NEEDED_SHOWN),
        ),
        asks_for_approval=environment.approvals > 0,
        tiers=tiers,
        grid=coverage(
            entries,
            interactions=interactions,
            tiers=tiers,
            now=now,
            differing={change.key for change in changes},
        ),
        unpublished=len(changes),
        unpublished_words=_words(changes),
        rollouts=_running(entries, now),
        changes=last_changes(session, code, limit=CHANGES_SHOWN),
        steps=_steps(session) if with_steps else [],
    )


def cell_note(cell: Cell) -> str | None:
    """What else is worth knowing of a cell: a rollout, a newer version, tenants of their own."""
    notes = []
    if len(cell.shares) > 2:
        notes.append(f"{len(cell.shares) - 1} versions rolling out")
    elif cell.rolling:
        newer = cell.shares[-1]
        notes.append(
            f"{share_words(newer.buckets)} on {newer.model}"
            if newer.model != cell.model
            else f"{share_words(newer.buckets)} on version {newer.version}"
        )
    elif cell.differs and cell.source is Source.OWN:
        notes.append("newer version saved")
    if cell.tenants:
        notes.append(f"{cell.tenants} {'tenant' if cell.tenants == 1 else 'tenants'} apart")
    return ", ".join(notes) or None


def _live_release(session: Session, environment: str) -> LiveRelease | None:
    release = latest_release(session, environment)
    return LiveRelease(release, export_of(session, environment, release.number)) if release else None


def _words(changes: Sequence[EntryChange]) -> list[str]:
    return [sentence(change) for change in changes[:UNPUBLISHED_SHOWN]]


def _running(entries: Mapping[str, Json], now: dt.datetime) -> list[RunningRollout]:
    several = [
        (Place.from_key(key), standing(document, saved_version=0, archived=False, now=now))
        for key, document in entries.items()
        if key.startswith("configuration/") and len(document["variants"]) > 1
    ]
    return [RunningRollout(place, stand) for place, stand in several]


def _steps(session: Session) -> list[Step]:
    def there_is(rows: Select[Any]) -> bool:
        return bool(session.scalar(select(rows.exists())))

    return [
        Step(
            "Change a model",
            "Open a configuration, choose Edit, save a second version.",
            there_is(select(ConfigurationVersion.id).where(ConfigurationVersion.number > 1)),
            "configurations.index",
        ),
        Step(
            "Preview and save a template",
            "The preview shows the exact text the model would get.",
            there_is(select(PromptVersion.id).where(PromptVersion.number > 1)),
            "prompts.index",
        ),
        Step(
            "Publish",
            "See what differs from live, choose, say why.",
            there_is(select(Release.number).where(Release.number > 1)),
            "releases.unpublished",
        ),
        Step(
            "Roll out to a share",
            "Begin with 10 %, raise it, or take it back.",
            there_is(select(Rollout.number)),
            "configurations.index",
        ),
    ]

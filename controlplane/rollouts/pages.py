"""What the pages of rollouts and gates show: small frozen values, put together from what is live."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from controlplane.audit.models import AuditEvent
from controlplane.configurations.documents import place_of
from controlplane.configurations.models import Configuration
from controlplane.configurations.places import Place
from controlplane.db import Json
from controlplane.registry.models import Environment, Interaction
from controlplane.registry.services import list_interactions
from controlplane.releases.models import Release, ReleaseEntry
from controlplane.rollouts import documents, standing, wording
from controlplane.rollouts.acts import Act, acts_of
from controlplane.rollouts.standing import Live, Standing
from controlplane.runtime import canonical
from controlplane.runtime.bucketing import BUCKETS, size
from controlplane.runtime.entries import gate_key

_TONES = 6  # colours of shares; a seventh candidate has the sixth's
PRESETS = (1_000, 10_000, 50_000, BUCKETS)

WITHOUT_RELEASE = (
    "rollout.paused",
    "rollout.resumed",
    "rollout.plan_started",
    "rollout.plan_changed",
    "rollout.plan_continued",
    "rollout.plan_stepped",
    "rollout.plan_stopped",
    "rollout.plan_cancelled",
)

Bar = tuple[tuple[str, float, int], ...]


@dataclass(frozen=True)
class Panel:
    """The rollouts of one configuration in one environment, and one of them to be moved; or what may be started, or why not."""

    place: Place
    environment: str
    all: tuple[Standing, ...]
    running: Standing | None
    live_version: int | None
    startable: tuple[tuple[str, str], ...]
    live: Live
    base: int
    protected: bool
    approvals: int
    sentence: str

    @property
    def bar(self) -> Bar:
        """The shares for drawing."""
        return bar_of(self.live.document)

    @property
    def next_share(self) -> int | None:
        """The next step up, in buckets; none while it is paused, or where others have the rest."""
        here = self.running
        if here is None or here.paused:
            return None
        left = documents.left_for(here.document, [here.rollout.to_version])
        return next((each for each in PRESETS if here.share < each <= left), None)

    @property
    def acts(self) -> tuple[Act, ...]:
        """What else may be done to the running one."""
        return acts_of(self.running) if self.running else ()

    @property
    def unit(self) -> str:
        """What is counted here, as the documents call it."""
        return str((self.live.document or {}).get("unit", "user"))


@dataclass(frozen=True)
class Show:
    """The page of one rollout."""

    standing: Standing
    panel: Panel | None
    history: tuple[AuditEvent, ...]


@dataclass(frozen=True)
class Index:
    """The page of all rollouts of an environment."""

    running: tuple[Standing, ...]
    past: tuple[Standing, ...]
    older: int | None


@dataclass(frozen=True)
class GateRow:
    """The gate of an interaction in an environment; without an entry everyone is in."""

    interaction: str
    environment: str
    share: int
    units: str
    base: int
    at: dt.datetime | None
    by: str | None
    document: Json = field(default_factory=lambda: {"ranges": [[0, BUCKETS]]})

    @property
    def sentence(self) -> str:
        """What it does now."""
        return wording.gate_standing(self.share, self.units)

    @property
    def tone(self) -> str:
        """The tone of its chip."""
        return "live" if self.share == BUCKETS else "paused" if self.share == 0 else "rolling"

    @property
    def bar(self) -> Bar:
        """In and out, for drawing."""
        inside = self.share * 100 / BUCKETS
        return (("Configuration lookup", inside, 2), ("Legacy path", 100 - inside, 1))


def rollout_panel(
    session: Session, environment: str, configuration: Configuration, *, number: int | None = None
) -> Panel:
    """The panel on a configuration's page, or of one of its rollouts; the configuration's versions are loaded."""
    place = place_of(configuration)
    live = standing.live_entry(session, environment, place.key)
    found = standing.current(session, environment, configuration)
    running = (
        next((each for each in found if each.number == number), None)
        if number is not None
        else (found[0] if len(found) == 1 else None)
    )
    versions = documents.versions_of(live.document)
    startable = _startable(configuration, versions)
    shown = running or next(iter(found), None)
    return Panel(
        place=place,
        environment=environment,
        all=tuple(found),
        running=running,
        live_version=versions[0] if versions else None,
        startable=startable,
        live=live,
        base=live.release,
        protected=is_protected(session, environment),
        approvals=approvals_asked_for(session, environment),
        sentence=shown.sentence if shown else _idle(versions, startable, configuration),
    )


def show_page(session: Session, environment: str, here: Standing, configuration: Configuration) -> Show:
    """One rollout with its history; the panel only while it runs."""
    panel = rollout_panel(session, environment, configuration, number=here.number) if here.running else None
    return Show(here, panel, _history(session, environment, here))


def index_page(session: Session, environment: str, *, before: int | None, limit: int = 25) -> Index:
    """Running ones first, then those that are over."""
    found = standing.past(session, environment, before=before, limit=limit + 1)
    older = found[limit - 1].number if len(found) > limit else None
    running = standing.running(session, environment) if before is None else []
    return Index(tuple(running), tuple(found[:limit]), older)


def gates(session: Session, environment: str) -> list[GateRow]:
    """The gate of every interaction in use, by code."""
    found = _gate_entries(session, environments=[environment])
    return [
        _gate_row(interaction.code, environment, found.get((environment, gate_key(interaction.code))))
        for interaction in sorted(list_interactions(session), key=lambda row: row.code)
    ]


def gate(session: Session, environment: str, interaction: Interaction) -> GateRow:
    """One gate, with the release its page is made from."""
    live = standing.live_entry(session, environment, gate_key(interaction.code))
    release = session.get(Release, (environment, live.release)) if live.document else None
    entry = (live.document or {}, live.release, release.created_at, release.author_name) if release else None
    row = _gate_row(interaction.code, environment, entry)
    return (
        row if entry else GateRow(row.interaction, environment, BUCKETS, row.units, live.release, None, None)
    )


def gates_of(session: Session, interaction: str) -> list[GateRow]:
    """The gate of one interaction in every environment, in the environments' order."""
    order = select(Environment.code).where(Environment.archived_at.is_(None))
    codes = list(session.scalars(order.order_by(Environment.position, Environment.code)))
    found = _gate_entries(session, environments=codes, key=gate_key(interaction))
    return [_gate_row(interaction, code, found.get((code, gate_key(interaction)))) for code in codes]


def approvals_asked_for(session: Session, environment: str) -> int:
    """How many others have to agree before something new goes live here."""
    found = session.get(Environment, environment)
    return found.approvals if found else 0


def is_protected(session: Session, environment: str) -> bool:
    """Whether a reason is asked for there."""
    return bool(session.scalar(select(Environment.protected).where(Environment.code == environment)))


def bar_of(document: Json | None) -> Bar:
    """The shares of a live entry for drawing: the candidates first, because they grow from the left."""
    baseline, *candidates = documents.versions_of(document)
    parts = [
        (f"Version {version}", documents.share_of(document, version) * 100 / BUCKETS, min(tone, _TONES))
        for tone, version in enumerate(candidates, start=2)
    ]
    return (*parts, (f"Version {baseline}", documents.share_of(document, baseline) * 100 / BUCKETS, 1))


def _startable(configuration: Configuration, live: Sequence[int]) -> tuple[tuple[str, str], ...]:
    if not live or configuration.archived_at is not None:
        return ()
    return tuple(
        (str(version.number), f"Version {version.number}: {version.model}, by {version.author_name}")
        for version in configuration.versions
        if version.number not in live
    )


def _idle(live: Sequence[int], startable: Sequence[object], configuration: Configuration) -> str:
    if not live:
        return "Nothing of this is live here yet: a rollout begins from a live version."
    if configuration.archived_at is not None:
        return f"Version {live[0]} is live for everyone. It is archived, so nothing new can be rolled out."
    if not startable:
        return f"Version {live[0]} is live for everyone. Save another version to roll it out step by step."
    return f"Version {live[0]} is live for everyone."


def _history(session: Session, environment: str, here: Standing) -> tuple[AuditEvent, ...]:
    """The audit's account of all that began, moved, held or ended a rollout, newest first."""
    releases = [f"{environment}/{number}" for number in here.releases]
    of_it = (AuditEvent.object_kind == "configuration") & (AuditEvent.object_key == here.place.path)
    # What moves nobody is no release: it is found by its time.
    meanwhile = AuditEvent.action.in_(WITHOUT_RELEASE) & (AuditEvent.at >= here.first.at)
    if here.end is not None:
        meanwhile &= AuditEvent.at <= here.end.at
    query = (
        select(AuditEvent)
        .where(
            AuditEvent.environment == environment,
            or_(
                of_it & AuditEvent.release.in_(here.releases),
                (AuditEvent.object_kind == "release")
                & AuditEvent.object_key.in_(releases)
                & AuditEvent.release.in_(here.releases),
                of_it & meanwhile,
            ),
        )
        .order_by(AuditEvent.sequence.desc())
    )
    return tuple(session.scalars(query))


_Entry = tuple[Json, int, dt.datetime, str]


def _gate_entries(
    session: Session, *, environments: Sequence[str], key: str | None = None
) -> dict[tuple[str, str], _Entry]:
    query = (
        select(ReleaseEntry, Release.created_at, Release.author_name)
        .join(
            Release,
            (Release.environment == ReleaseEntry.environment) & (Release.number == ReleaseEntry.valid_from),
        )
        .where(ReleaseEntry.environment.in_(environments), ReleaseEntry.valid_to.is_(None))
        .order_by(ReleaseEntry.environment, ReleaseEntry.key)
    )
    wanted = ReleaseEntry.key == key if key else ReleaseEntry.key.startswith("gate/")
    return {
        (entry.environment, entry.key): (canonical.loads(entry.document), entry.valid_from, at, by)
        for entry, at, by in session.execute(query.where(wanted))
    }


def _gate_row(interaction: str, environment: str, entry: _Entry | None) -> GateRow:
    if entry is None:
        return GateRow(interaction, environment, BUCKETS, wording.units_of(None), 0, None, None)
    document, release, at, by = entry
    share = size(document["ranges"])
    return GateRow(interaction, environment, share, wording.units_of(document), release, at, by, document)

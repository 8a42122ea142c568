"""What the pages of configurations need, asked of the database and put together; `page.py` holds the shapes."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from controlplane.audit.models import AuditEvent
from controlplane.audit.queries import concerns
from controlplane.configurations import live
from controlplane.configurations.coverage import Cell, Source, answer, coverage
from controlplane.configurations.documents import place_of, settings_of
from controlplane.configurations.listing import Filters, Listing, listing, rows_of
from controlplane.configurations.models import Configuration, ConfigurationVersion
from controlplane.configurations.page import (
    Column,
    DiffRow,
    Reach,
    SettingRow,
    VersionRow,
    columns,
    cost_row,
    diff_rows,
    setting_rows,
    version_rows,
)
from controlplane.configurations.places import Place
from controlplane.configurations.services import get_version, list_configurations
from controlplane.configurations.states import Standing, standing
from controlplane.db import Json, now
from controlplane.registry.models import Model
from controlplane.registry.services import list_models, list_tiers


@dataclass(frozen=True)
class Show:
    """The page of one configuration in one environment."""

    configuration: Configuration
    place: Place
    standing: Standing
    since: live.Since | None
    columns: list[Column]
    settings: list[SettingRow]
    costs: list[tuple[object, str]]
    unpublished: list[DiffRow]
    reach: Reach
    versions: list[VersionRow]


@dataclass(frozen=True)
class VersionPage:
    """One saved version: its settings, what it changed, where it is live."""

    configuration: Configuration
    place: Place
    version: ConfigurationVersion
    document: Json
    newest: int
    settings: list[SettingRow]
    changed: list[DiffRow]
    before: int | None
    against_live: list[DiffRow]
    live_version: int | None
    live_in: list[tuple[str, str]]  # tone and words of a chip for each environment


@dataclass(frozen=True)
class ComparePage:
    """Two versions against each other."""

    configuration: Configuration
    place: Place
    older: ConfigurationVersion
    newer: ConfigurationVersion
    rows: list[DiffRow]
    numbers: list[int]


def list_page(session: Session, environment: str, filters: Filters, *, everything: bool) -> Listing:
    """The list, filtered."""
    saved, entries = list_configurations(session, archived=True), live.live_entries(session, environment)
    rows = rows_of(saved, entries, now=now())
    return listing(rows, filters, everything=everything)


def show_page(session: Session, environment: str, configuration: Configuration) -> Show:
    """Everything about one configuration, whose versions are loaded."""
    place, newest = place_of(configuration), configuration.versions[0]
    entries = live.live_entries(session, environment)
    stand = standing_of(configuration, entries)
    shown = columns(stand, newest)
    baseline = stand.variants[0].document if stand.variants else None
    unpublished = diff_rows(place.key, baseline, settings_of(newest)) if baseline else []
    return Show(
        configuration=configuration,
        place=place,
        standing=stand,
        since=live.since(session, environment, place.key),
        columns=shown,
        settings=setting_rows(shown),
        costs=list(cost_row(shown, models_by_code(session))),
        unpublished=unpublished if len(stand.variants) == 1 and not stand.archived else [],
        reach=reach_of(session, place, entries),
        versions=version_rows(configuration.versions, stand.variants),
    )


def version_page(
    session: Session, environment: str, configuration: Configuration, number: int
) -> VersionPage:
    """One version; raises `NotFound`."""
    version = get_version(configuration, number)
    place, this = place_of(configuration), settings_of(version)
    before = next((each for each in configuration.versions if each.number < number), None)
    variants = standing_of(configuration, live.live_entries(session, environment)).variants
    baseline = variants[0] if variants else None
    return VersionPage(
        configuration=configuration,
        place=place,
        version=version,
        document=this,
        newest=configuration.versions[0].number,
        settings=setting_rows([Column("", "", number, this)]),
        changed=diff_rows(place.key, settings_of(before), this) if before else [],
        before=before.number if before else None,
        against_live=diff_rows(place.key, baseline.document, this) if baseline else [],
        live_version=baseline.version if baseline else None,
        live_in=_live_in(session, place, number),
    )


def compare_page(configuration: Configuration, older: int | None, newer: int | None) -> ComparePage:
    """Two versions, by default the two newest; raises `NotFound`."""
    numbers = [version.number for version in configuration.versions]
    to = get_version(configuration, newer if newer is not None else numbers[0])
    fallback = next((number for number in numbers if number < to.number), numbers[-1])
    of = get_version(configuration, older if older is not None else fallback)
    place = place_of(configuration)
    rows = diff_rows(place.key, settings_of(of), settings_of(to))
    return ComparePage(configuration, place, of, to, rows, numbers)


def changes_of(session: Session, environment: str, place: Place, *, limit: int = 8) -> Sequence[AuditEvent]:
    """What happened to a configuration and, in this environment, every release that touched its entry; newest first."""
    releases = live.releases_of(session, environment, place.key)
    query = select(AuditEvent).where(
        or_(
            (AuditEvent.object_kind == "configuration")
            & (AuditEvent.object_key == place.path)
            & concerns(environment),
            (AuditEvent.environment == environment) & AuditEvent.release.in_(releases),
        )
    )
    return session.scalars(query.order_by(AuditEvent.sequence.desc()).limit(limit)).all()


def standing_of(configuration: Configuration, entries: dict[str, Json]) -> Standing:
    """How a configuration, whose versions are loaded, stands to these live entries now."""
    return standing(
        entries.get(place_of(configuration).key),
        saved_version=configuration.versions[0].number,
        archived=configuration.archived_at is not None,
        now=now(),
    )


def models_by_code(session: Session) -> dict[str, Model]:
    """Every model, archived ones too: an old version may name one."""
    return {model.code: model for model in list_models(session, archived=True)}


def reach_of(session: Session, place: Place, entries: dict[str, Json]) -> Reach:
    """Which tiers get this configuration for want of their own, and what its calls get while nothing of it counts."""
    tiers = [tier.code for tier in list_tiers(session)]
    if not entries or (place.tenant and place.key not in entries):
        return Reach((), None)
    if place.tenant:
        return Reach((), _instead(answer(entries, place, now=now())))
    (row,) = coverage(entries, interactions=[place.interaction], tiers=tiers, now=now())
    inherited = [cell.place.tier_word for cell in row.cells if cell.winner == place and cell.place != place]
    own = next((cell for cell in row.cells if cell.place == place), None)
    return Reach(tuple(inherited), _instead(own) if own else None)


def _instead(cell: Cell) -> str | None:
    """Who answers in place of the cell's own configuration; None when that answers, or nobody can say."""
    if cell.source is Source.DEFAULT and cell.winner:
        return cell.winner.title
    return {Source.ENVIRONMENT_DEFAULT: "the environment’s default", Source.NONE: "no configuration"}.get(
        cell.source
    )


def _live_in(session: Session, place: Place, number: int) -> list[tuple[str, str]]:
    """The environments in which a version is live, with its share and why nobody gets it, as chips."""
    found = []
    for environment, document in live.environments_with(session, place.key).items():
        variants = standing(document, saved_version=number, archived=False, now=now()).variants
        found += [
            (each.tone, ", ".join((f"Live in {environment}", each.share)).replace(", 100 %", ""))
            for each in variants
            if each.version == number
        ]
    return found

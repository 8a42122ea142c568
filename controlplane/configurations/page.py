"""What the pages of one configuration show: small frozen values, and the pure functions that put them together."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from controlplane.configurations.documents import settings_of
from controlplane.configurations.models import ConfigurationVersion
from controlplane.configurations.states import LiveVariant, Standing
from controlplane.configurations.wording import (
    LABELS,
    SettingChange,
    differences,
    sentence_of,
    settings,
    summary_of,
)
from controlplane.db import Json
from controlplane.registry import cost
from controlplane.registry.models import Model

Models = Mapping[str, Model]


@dataclass(frozen=True)
class Column:
    """One variant beside the others, with what it is: its live share, or "saved"."""

    heading: str
    note: str
    version: int
    document: Json


@dataclass(frozen=True)
class SettingRow:
    """One setting in every column; `differs` when not all are equal."""

    name: str
    label: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether a reader should look here."""
        return len(set(self.values)) > 1


@dataclass(frozen=True)
class DiffRow:
    """One changed setting as the diff macro takes it."""

    key: str
    field: str
    before: str
    after: str


@dataclass(frozen=True)
class VersionRow:
    """One saved version in the list of them."""

    number: int
    what: str
    reason: str
    author: str
    at: dt.datetime
    live: LiveVariant | None
    newest: bool


@dataclass(frozen=True)
class Reach:
    """Who gets this configuration: tiers that have none of their own, and what calls get while this is not live or does not count."""

    inherited_by: tuple[str, ...]
    instead: str | None


@dataclass(frozen=True)
class Effect:
    """What saving a form would mean: against what is saved, what is live, in money; and what stands in its way."""

    problems: tuple[str, ...]
    against_saved: tuple[SettingChange, ...]
    against_live: tuple[SettingChange, ...]
    live_version: int | None
    cost_before: Decimal | None
    cost_after: Decimal | None
    cost_words: str
    model: Model | None


def columns(standing: Standing, newest: ConfigurationVersion) -> list[Column]:
    """The live variants, baseline first; what is saved beside them when nothing is live or a rollout keeps it waiting."""
    found = [
        Column(f"Version {each.version}", each.share, each.version, each.document)
        for each in standing.variants
    ]
    if not found or standing.waiting:
        note = "saved, waits" if standing.waiting else "saved"
        found.append(Column(f"Version {newest.number}", note, newest.number, settings_of(newest)))
    return found


def setting_rows(shown: Sequence[Column]) -> list[SettingRow]:
    """Every setting in each column."""
    values = [settings(column.document) for column in shown]
    return [SettingRow(name, label, tuple(each[name] for each in values)) for name, label in LABELS.items()]


def cost_row(shown: Sequence[Column], models: Models) -> list[tuple[Decimal | None, str]]:
    """What 1,000 calls cost in each column, and how that compares with the first."""
    amounts = [cost_of(column.document, models) for column in shown]
    return [
        (amount, cost.change_in_words(amounts[0], amount) if index else "")
        for index, amount in enumerate(amounts)
    ]


def cost_of(document: Json, models: Models) -> Decimal | None:
    """What 1,000 calls of a variant cost, by the registry's prices."""
    model = models.get(document["model"])
    price = cost.Price(model.input_price_per_million, model.output_price_per_million) if model else None
    return cost.per_thousand_calls(price, max_tokens=document.get("max_tokens"))


def diff_rows(key: str, before: Json, after: Json) -> list[DiffRow]:
    """Two variants for the diff macro."""
    return [DiffRow(key, each.label, each.before, each.after) for each in differences(before, after)]


def version_rows(versions: Sequence[ConfigurationVersion], live: Sequence[LiveVariant]) -> list[VersionRow]:
    """All versions, newest first, each with what it changed against the one before."""
    variants = {each.version: each for each in live}
    older = [*versions[1:], None]
    return [
        VersionRow(
            number=version.number,
            what=_what(before, version),
            reason=version.reason,
            author=version.author_name,
            at=version.created_at,
            live=variants.get(version.number),
            newest=version is versions[0],
        )
        for version, before in zip(versions, older, strict=True)
    ]


def effect_of(
    values: Json | None,
    *,
    problems: Sequence[str],
    saved: Json | None,
    live: LiveVariant | None,
    models: Models,
) -> Effect:
    """What saving `values` (None: they cannot be read) would mean."""
    baseline = live.document if live else None
    before = cost_of(baseline, models) if baseline else None
    after = cost_of(values, models) if values else None
    return Effect(
        problems=tuple(problems),
        against_saved=tuple(differences(saved, values)) if saved and values else (),
        against_live=tuple(differences(baseline, values)) if baseline and values else (),
        live_version=live.version if live else None,
        cost_before=before,
        cost_after=after,
        cost_words=cost.change_in_words(before, after),
        model=models.get(values["model"]) if values else None,
    )


def _what(before: ConfigurationVersion | None, version: ConfigurationVersion) -> str:
    if before is None:
        return summary_of(settings_of(version))
    return sentence_of(differences(settings_of(before), settings_of(version))) or "the same values again"

"""What is odd in a release that is valid: holes, rows that nobody reaches, models that go away. Pure.

Validation refuses what cannot work; this finds what works and was probably not meant. Every question about who gets what is
asked of the runtime's own resolver.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations, pairwise
from typing import Final

from controlplane.configurations.places import Place
from controlplane.runtime.bucketing import size
from controlplane.runtime.entries import ANY, DEFAULT_TIER, Configuration, Model, Variant, parse_key
from controlplane.runtime.errors import ConfigurationNotFoundError, SnapshotRefused
from controlplane.runtime.resolver import Request, Resolution, resolve
from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.tables import keys_in_order


class Severity(StrEnum):
    """How much it matters; worst first."""

    PROBLEM = "problem"
    WARNING = "warning"
    NOTE = "note"

    @property
    def tone(self) -> str:
        """The tone of its chip."""
        return {"problem": "failed", "warning": "paused", "note": "neutral"}[self.value]


class Kind(StrEnum):
    """What is odd, as the page groups it."""

    HOLE = "hole"
    RETIRED = "retired model"
    RETIRING = "retiring model"
    UNREACHABLE = "unreachable"
    WINDOW = "dates"
    WEAKER = "weaker model for a higher tier"
    SAME = "same as inherited"
    DEAD_TEMPLATE = "template in use nowhere"


@dataclass(frozen=True)
class Finding:
    """One odd thing, in a sentence; `key` is the entry that it is about."""

    kind: Kind
    severity: Severity
    sentence: str
    key: str


# What two variants have to have alike to be the same for whoever calls; their versions, shares and salts are not of that.
_FELT: Final = (
    *("model", "prompt", "temperature", "max_tokens", "top_p", "frequency_penalty", "presence_penalty"),
    *("fallbacks", "effective_from", "effective_until", "active"),
)


def lint(
    snapshot: Snapshot, *, now: dt.datetime, retiring: Mapping[str, dt.date] | None = None
) -> list[Finding]:
    """Return what is odd at this moment (aware), the worst first; `retiring` are models with the day they go away."""
    release = _Release(snapshot, now)
    found = [
        *_holes(release),
        *_models_going(release, retiring or {}),
        *_unreachable(release),
        *_windows(release),
        *_weaker(release),
        *_same(release),
        *_dead_templates(release),
    ]
    order = {severity: place for place, severity in enumerate(Severity)}
    kinds = {kind: place for place, kind in enumerate(Kind)}
    return sorted(found, key=lambda each: (order[each.severity], kinds[each.kind], each.key, each.sentence))


class _Release:
    """A release at a moment, with the answers that several rules ask for."""

    def __init__(self, snapshot: Snapshot, now: dt.datetime) -> None:
        self.snapshot = snapshot
        self.now = now
        keys = sorted(snapshot.keys())
        self.interactions = [
            key.removeprefix("interaction/") for key in keys if key.startswith("interaction/")
        ]
        self.prompts = [key.removeprefix("prompt/") for key in keys if key.startswith("prompt/")]
        self.models = [key.removeprefix("model/") for key in keys if key.startswith("model/")]
        self.tiers = self._tiers([key.removeprefix("tier/") for key in keys if key.startswith("tier/")])
        self.rows = {key: found for key in keys if (found := self._row(key)) is not None}

    def answer(self, interaction: str, tier: str | None, tenant: str | None = None) -> Resolution | None:
        """What calls of this place get when they name no unit: the row's baseline."""
        try:
            return resolve(self.snapshot, Request(interaction, tier, tenant), now=self.now)
        except (ConfigurationNotFoundError, SnapshotRefused):
            return None

    def users_of(self, model: str) -> Iterator[tuple[str, bool]]:
        """The rows that name a model, each with whether as the first choice of a variant that somebody has."""
        for key, row in self.rows.items():
            first = any(variant.model == model and size(variant.ranges) for variant in row.variants)
            if first or any(model in (variant.model, *variant.fallbacks) for variant in row.variants):
                yield key, first

    def _tiers(self, codes: Sequence[str]) -> list[str]:
        ranks = {code: tier.rank for code in codes if (tier := self.snapshot.tier(code)) is not None}
        return sorted(ranks, key=lambda code: (ranks[code], code))

    def _row(self, key: str) -> Configuration | None:
        return self.snapshot.configuration(key) if key.startswith("configuration/") else None


def _holes(release: _Release) -> Iterator[Finding]:
    for interaction in release.interactions:
        missing = [
            tier or "calls without a tier"
            for tier in (None, *release.tiers)
            if release.answer(interaction, tier) is None
        ]
        if missing:
            said = f"{interaction} has no configuration for {_listed(missing)}: these calls take the legacy path."
            yield Finding(Kind.HOLE, Severity.PROBLEM, said, f"interaction/{interaction}")


def _models_going(release: _Release, retiring: Mapping[str, dt.date]) -> Iterator[Finding]:
    today = release.now.astimezone(dt.UTC).date()
    for code in release.models:
        model, users = release.snapshot.model(code), list(release.users_of(code))
        if model is None or not users:
            continue
        where = _listed([f"{_title(key)}{'' if first else ' (fallback)'}" for key, first in users])
        day = retiring.get(code)
        if not model.active:
            first = any(first for _, first in users)
            severity = Severity.PROBLEM if first else Severity.WARNING
            yield Finding(
                Kind.RETIRED, severity, f"{code} is retired and still named by {where}.", f"model/{code}"
            )
        elif day is not None:
            when = f"went away on {day:%-d %b %Y}" if day <= today else f"goes away on {day:%-d %b %Y}"
            soon = day - today <= dt.timedelta(days=30)
            severity = Severity.PROBLEM if day <= today else Severity.WARNING if soon else Severity.NOTE
            yield Finding(Kind.RETIRING, severity, f"{code} {when} and is named by {where}.", f"model/{code}")


def _unreachable(release: _Release) -> Iterator[Finding]:
    for key, row in release.rows.items():
        interaction, tier, tenant = parse_key(key).parts
        if tier != DEFAULT_TIER and tier not in release.tiers:
            said = f"{_title(key)} is for a tier {tier} that is not live: calls only reach it by that name."
            yield Finding(Kind.UNREACHABLE, Severity.WARNING, said, key)
        elif interaction == ANY:
            if release.interactions and all(
                f"configuration/{each}/{DEFAULT_TIER}/{ANY}" in release.rows for each in release.interactions
            ):
                said = "Every interaction has a default of its own: the environment's default answers nobody."
                yield Finding(Kind.UNREACHABLE, Severity.NOTE, said, key)
        elif tier == DEFAULT_TIER and _is_shadowed(release, interaction, tenant):
            said = f"{_title(key)} is shadowed: every tier has a row of its own. Only calls without a tier reach it."
            yield Finding(Kind.UNREACHABLE, Severity.NOTE, said, key)
        for variant in row.variants[1:]:
            if not size(variant.ranges):
                said = f"Version {variant.version} of {_title(key)} is live and has no share: nobody gets it."
                yield Finding(Kind.UNREACHABLE, Severity.NOTE, said, key)


def _is_shadowed(release: _Release, interaction: str, tenant: str) -> bool:
    return bool(release.tiers) and all(
        f"configuration/{interaction}/{tier}/{tenant}" in release.rows for tier in release.tiers
    )


def _windows(release: _Release) -> Iterator[Finding]:
    for key, row in release.rows.items():
        dated = [variant for variant in row.variants if not variant.timeless]
        for variant in dated:
            yield from _window(release, key, row, variant)
        for first, second in combinations(
            [each for each in dated if each.effective_from or each.effective_until], 2
        ):
            if _overlap(first, second):
                said = (
                    f"The dates of versions {first.version} and {second.version} of {_title(key)} overlap: "
                    "while both count, their shares decide."
                )
                yield Finding(Kind.WINDOW, Severity.NOTE, said, key)


def _window(release: _Release, key: str, row: Configuration, variant: Variant) -> Iterator[Finding]:
    name, until = f"Version {variant.version} of {_title(key)}", variant.effective_until
    instead = "the next row answers" if variant is row.baseline else "the baseline answers instead"
    if not variant.active:
        yield Finding(Kind.WINDOW, Severity.WARNING, f"{name} is switched off: {instead}.", key)
    elif until is not None and until <= release.now:
        said = f"{name} ended on {until:%-d %b %Y, %H:%M} UTC: {instead}."
        yield Finding(Kind.WINDOW, Severity.WARNING, said, key)
    elif variant.effective_from is not None and variant.effective_from > release.now:
        said = (
            f"{name} counts only from {variant.effective_from:%-d %b %Y, %H:%M} UTC on; until then {instead}."
        )
        yield Finding(Kind.WINDOW, Severity.NOTE, said, key)
    elif until is not None:
        said = f"{name} ends on {until:%-d %b %Y, %H:%M} UTC; after that {instead}."
        yield Finding(Kind.WINDOW, Severity.NOTE, said, key)


def _weaker(release: _Release) -> Iterator[Finding]:
    """A higher tier whose baseline is a model that is in every known respect no better than a lower tier's, and in one worse."""
    for interaction in release.interactions:
        found = [(tier, release.answer(interaction, tier)) for tier in release.tiers]
        answered = [(tier, each) for tier, each in found if each is not None]
        for (lower, less), (higher, more) in pairwise(answered):
            if less.variant.model != more.variant.model and _is_weaker(more.model, less.model):
                said = (
                    f"{interaction}: {higher} gets {more.variant.model}, which is cheaper and takes and gives no more than "
                    f"{less.variant.model}, which {lower} gets."
                )
                yield Finding(Kind.WEAKER, Severity.WARNING, said, more.key)


def _is_weaker(one: Model, other: Model) -> bool:
    # Nobody can say from a registry which of two models is the better one. Price, window and length of answer are what
    # providers grade their own by, and only where none of them speaks for it is it called weaker.
    prices = (
        (one.input_price_per_million, other.input_price_per_million),
        (one.output_price_per_million, other.output_price_per_million),
    )
    if any(mine is None or theirs is None for mine, theirs in prices):
        return False
    figures = [
        *((float(mine or 0), float(theirs or 0)) for mine, theirs in prices),
        (one.context_window, other.context_window),
        (one.max_output_tokens, other.max_output_tokens),
    ]
    return all(mine <= theirs for mine, theirs in figures) and figures[1][0] < figures[1][1]


def _same(release: _Release) -> Iterator[Finding]:
    for key, row in release.rows.items():
        inherited = _inherited(release, key)
        if inherited is None or not _felt_alike(row, release.rows[inherited]):
            continue
        said = (
            f"{_title(key)} says what {_title(inherited)} says: without it nobody would notice a difference."
        )
        yield Finding(Kind.SAME, Severity.NOTE, said, key)


def _inherited(release: _Release, key: str) -> str | None:
    """The row that would answer if this one were gone."""
    interaction, tier, tenant = parse_key(key).parts
    if interaction == ANY:
        return None
    asked_tier = None if tier == DEFAULT_TIER else tier
    asked_tenant = None if tenant == ANY else tenant
    behind = [each for _, each in keys_in_order(interaction, asked_tier, asked_tenant)]
    later = behind[behind.index(key) + 1 :] if key in behind else []
    return next((each for each in later if each in release.rows), None)


def _felt_alike(one: Configuration, other: Configuration) -> bool:
    if len(one.variants) != 1 or len(other.variants) != 1:
        return False  # while something is being rolled out, equal shares are not the same people
    return all(getattr(one.baseline, name) == getattr(other.baseline, name) for name in _FELT)


def _dead_templates(release: _Release) -> Iterator[Finding]:
    used = {variant.prompt.code for row in release.rows.values() for variant in row.variants}
    for code in release.prompts:
        if code not in used:
            said = f"Template {code} is live, and no live configuration takes it."
            yield Finding(Kind.DEAD_TEMPLATE, Severity.NOTE, said, f"prompt/{code}")


def _overlap(first: Variant, second: Variant) -> bool:
    starts = [each for each in (first.effective_from, second.effective_from) if each is not None]
    ends = [each for each in (first.effective_until, second.effective_until) if each is not None]
    return not starts or not ends or max(starts) < min(ends)


def _title(key: str) -> str:
    if key == f"configuration/{ANY}/{DEFAULT_TIER}/{ANY}":
        return "the environment's default"
    return Place.from_key(key).title


def _listed(names: Sequence[str], limit: int = 6) -> str:
    shown, rest = list(names[:limit]), len(names) - limit
    if rest > 0:
        return f"{', '.join(shown)} and {rest} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"

"""What is saved, as the documents that releases carry and the runtime reads."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal

from sqlalchemy import ColumnElement, and_

from controlplane.configurations.models import Configuration, ConfigurationVersion
from controlplane.configurations.places import Place
from controlplane.db import Json
from controlplane.runtime.bucketing import BUCKETS

NUMBERS = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
EVERYBODY: tuple[tuple[int, int], ...] = ((0, BUCKETS),)

Ranges = Sequence[Sequence[int]]


def place_of(configuration: Configuration) -> Place:
    """Where a configuration stands."""
    return Place(configuration.interaction, configuration.tier, configuration.tenant)


def stands_at(place: Place) -> ColumnElement[bool]:
    """The condition of the one configuration at a place."""
    return and_(
        Configuration.interaction == place.interaction,
        # `=` is never true of NULL, and NULL is what "default" and "all tenants" are.
        Configuration.tier.is_not_distinct_from(place.tier),
        Configuration.tenant.is_not_distinct_from(place.tenant),
    )


def configuration_document(
    configuration: Configuration,
    version: ConfigurationVersion,
    *,
    ranges: Ranges = EVERYBODY,
    unit: str | None = None,
    pinned_sha256: str | None = None,
) -> Json:
    """The entry with this version as its only variant; `pinned_sha256` names the text of a pinned template.

    `unit` is what its rollouts count by where it is live already: each environment chooses when it starts one.
    """
    return document_of_variants(
        configuration, [variant_document(version, ranges=ranges, pinned_sha256=pinned_sha256)], unit=unit
    )


def document_of_variants(
    configuration: Configuration, variants: Sequence[Json], *, unit: str | None = None
) -> Json:
    """The entry with these variants; the first is the baseline, which a call without a unit gets."""
    return {
        "salt": configuration.salt,
        "algorithm": configuration.algorithm,
        "unit": unit or configuration.unit,
        "variants": list(variants),
    }


def variant_document(
    version: ConfigurationVersion, *, ranges: Ranges = EVERYBODY, pinned_sha256: str | None = None
) -> Json:
    """One version as a variant that owns these buckets."""
    prompt = dict(settings_of(version)["prompt"])
    if version.prompt_version is not None:
        if pinned_sha256 is None:
            raise ValueError(
                f"{prompt['code']} is pinned to version {version.prompt_version}: its hash is needed"
            )
        prompt["sha256"] = pinned_sha256
    return {
        **settings_of(version),
        "prompt": prompt,
        "version": version.number,
        "ranges": [list(pair) for pair in ranges],
    }


def settings_of(version: ConfigurationVersion) -> Json:
    """What people set, without what a release adds to it: for words, for comparing, for the audit."""
    prompt: Json = {"code": version.prompt_code}
    if version.prompt_version is not None:
        prompt["version"] = version.prompt_version
    return {
        "model": version.model,
        "prompt": prompt,
        **{name: _number(getattr(version, name)) for name in NUMBERS},
        "max_tokens": version.max_tokens,
        "fallbacks": list(version.fallbacks),
        "effective_from": moment_text(version.effective_from),
        "effective_until": moment_text(version.effective_until),
        "active": version.active,
    }


def moment_text(moment: dt.datetime | None) -> str | None:
    """A moment as documents spell it: UTC with a Z, so that the same moment always has the same bytes."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone cannot be published")
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def _number(value: Decimal | float | None) -> float | None:
    # A plain float whatever the column holds; canonical JSON decides its spelling.
    return None if value is None else float(value)

"""Where prompts are used and which of their versions are live: read from tables of features above this one.

Those features depend on prompts, so importing their models would turn the order round. Their tables are named here
column by column instead; the tests run on the real schema and fail when a name goes.
"""

import datetime as dt
import json
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import Select, column, select, table
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from controlplane.runtime.entries import ANY, DEFAULT_TIER, parse_key, prompt_key

_configurations = table(
    "configurations", *map(column, ("id", "interaction", "tier", "tenant", "archived_at"))
)
_configuration_versions = table(
    "configuration_versions",
    *map(column, ("configuration_id", "number", "prompt_code", "prompt_version", "model")),
)
_entries = table(
    "release_entries", *map(column, ("environment", "key", "valid_from", "valid_to", "document"))
)
_releases = table("releases", *map(column, ("environment", "number", "created_at")))


@dataclass(frozen=True, order=True)
class Use:
    """A configuration that takes a prompt; `pinned` is the version it stays on, None when it follows the live one."""

    interaction: str
    tier: str | None
    tenant: str | None
    environment: str | None = None  # None: it is saved so; else it is live so, there
    pinned: int | None = None
    model: str | None = None

    @property
    def label(self) -> str:
        """As configurations are called on the screen."""
        return " · ".join(filter(None, (self.interaction, self.tier or DEFAULT_TIER, self.tenant)))

    @property
    def sentence(self) -> str:
        """With where it is so."""
        return f"{self.label}, live in {self.environment}" if self.environment else f"{self.label}, as saved"


@dataclass(frozen=True)
class Live:
    """The version of a prompt that is live in an environment, and since which release."""

    environment: str
    version: int
    sha256: str
    release: int
    since: dt.datetime


def saved_uses(session: Session, code: str) -> list[Use]:
    """Return the configurations whose latest version takes this prompt, in the order of the screen."""
    latest = _latest_versions().subquery()
    rows = session.execute(
        select(
            latest.c.interaction, latest.c.tier, latest.c.tenant, latest.c.prompt_version, latest.c.model
        ).where(latest.c.prompt_code == code)
    )
    uses = [
        Use(interaction, tier, tenant, pinned=pinned, model=model)
        for interaction, tier, tenant, pinned, model in rows
    ]
    return sorted(uses, key=lambda use: (use.interaction, use.tier or "", use.tenant or ""))


def counts(session: Session) -> Counter[str]:
    """Count, for each prompt, the configurations whose latest version takes it."""
    latest = _latest_versions().subquery()
    return Counter(session.scalars(select(latest.c.prompt_code)))


def following(session: Session) -> dict[str, list[Use]]:
    """Return, for each prompt, the configurations whose latest version takes its live version, whichever that is."""
    latest = _latest_versions().subquery()
    rows = session.execute(
        select(latest.c.prompt_code, latest.c.interaction, latest.c.tier, latest.c.tenant, latest.c.model)
        .where(latest.c.prompt_version.is_(None))
        .order_by(latest.c.interaction, latest.c.tier, latest.c.tenant)
    )
    found: dict[str, list[Use]] = {}
    for code, interaction, tier, tenant, model in rows:
        found.setdefault(code, []).append(Use(interaction, tier, tenant, model=model))
    return found


def live_uses(session: Session, code: str) -> list[Use]:
    """Return the live configurations of every environment that take this prompt."""
    rows = session.execute(
        select(_entries.c.environment, _entries.c.key, _entries.c.document)
        .where(_entries.c.valid_to.is_(None), _entries.c.key.startswith("configuration/"))
        # Cheap and too generous on purpose; what it lets through is read properly below.
        .where(_entries.c.document.contains(f'"{code}"', autoescape=True))
        .order_by(_entries.c.environment, _entries.c.key)
    )
    return [
        _live_use(environment, key, variant)
        for environment, key, document in rows
        for variant in json.loads(document)["variants"]
        if variant["prompt"]["code"] == code
    ]


def live_versions(session: Session, environment: str) -> dict[str, int]:
    """Return the live version of every prompt of an environment."""
    rows = session.execute(
        select(_entries.c.key, _entries.c.document).where(
            _entries.c.environment == environment,
            _entries.c.valid_to.is_(None),
            _entries.c.key.startswith("prompt/"),
        )
    )
    return {key.removeprefix("prompt/"): json.loads(document)["version"] for key, document in rows}


def live(session: Session, code: str) -> dict[str, Live]:
    """Return what is live of one prompt, by environment."""
    rows = session.execute(
        select(_entries.c.environment, _entries.c.valid_from, _entries.c.document, _releases.c.created_at)
        .join(
            _releases,
            (_releases.c.environment == _entries.c.environment)
            & (_releases.c.number == _entries.c.valid_from),
        )
        .where(_entries.c.key == prompt_key(code), _entries.c.valid_to.is_(None))
    )
    found = {}
    for environment, release, text, since in rows:
        document = json.loads(text)
        found[environment] = Live(environment, document["version"], document["sha256"], release, since)
    return found


def _latest_versions() -> Select[tuple[object, ...]]:
    return (
        select(
            _configurations.c.interaction,
            _configurations.c.tier,
            _configurations.c.tenant,
            _configuration_versions.c.prompt_code,
            _configuration_versions.c.prompt_version,
            _configuration_versions.c.model,
        )
        .join(_configuration_versions, _configuration_versions.c.configuration_id == _configurations.c.id)
        .where(_configurations.c.archived_at.is_(None))
        .ext(distinct_on(_configurations.c.id))
        .order_by(_configurations.c.id, _configuration_versions.c.number.desc())
    )


def _live_use(environment: str, key: str, variant: dict[str, dict[str, int]]) -> Use:
    interaction, tier, tenant = parse_key(key).parts
    return Use(
        interaction,
        None if tier == DEFAULT_TIER else tier,
        None if tenant == ANY else tenant,
        environment=environment,
        pinned=variant["prompt"].get("version"),
    )

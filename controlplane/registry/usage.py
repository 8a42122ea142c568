"""Where a tier, a model, an interaction or an environment is in use: what archiving it would break.

Both what is saved and what is live count; a live use may outlast the saved one until the next publish.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from controlplane.prompts.inspection import inspect_all


@dataclass(frozen=True, order=True)
class Use:
    """One place of use: the kind and key of the object that uses it, and the environment where that is live."""

    object_kind: str
    object_key: str
    environment: str | None = None

    @property
    def words(self) -> str:
        """As in a list of reasons."""
        kind = "template" if self.object_kind == "prompt" else self.object_kind
        place = f"{kind} {self.object_key.replace('/', ' · ')}"
        return f"{place} (live in {self.environment})" if self.environment else place


# A configuration counts by its latest version: older ones are history, and history keeps nothing from being archived.
_LATEST = """
SELECT DISTINCT ON (version.configuration_id)
       configuration.interaction, configuration.tier, configuration.tenant, version.model, version.fallbacks
FROM configuration_versions AS version
JOIN configurations AS configuration ON configuration.id = version.configuration_id
WHERE configuration.archived_at IS NULL
ORDER BY version.configuration_id, version.number DESC
"""
_PLACE = "concat_ws('/', interaction, coalesce(tier, 'default'), tenant)"

_CONFIGURATIONS = {
    "model": "model = :code OR fallbacks ? :code",
    "tier": "tier = :code",
    "interaction": "interaction = :code",
}

_LIVE_CONFIGURATIONS = {
    # The document is canonical JSON text: read as jsonb only here, off every hot path.
    "model": """EXISTS (
        SELECT 1 FROM jsonb_array_elements(entry.document::jsonb -> 'variants') AS variant
        WHERE variant ->> 'model' = :code OR variant -> 'fallbacks' ? :code)""",
    "tier": "split_part(entry.key, '/', 3) = :code",
    "interaction": "split_part(entry.key, '/', 2) = :code",
}


def uses_of_model(session: Session, code: str) -> list[Use]:
    """Configurations that call the model, first or as a fallback."""
    return _configurations(session, "model", code)


def uses_of_tier(session: Session, code: str) -> list[Use]:
    """Configurations made for the tier."""
    return _configurations(session, "tier", code)


def uses_of_interaction(session: Session, code: str) -> list[Use]:
    """Configurations and prompts of the interaction."""
    prompts = session.execute(
        text("SELECT code FROM prompts WHERE interaction = :code AND archived_at IS NULL"), {"code": code}
    )
    found = [Use("prompt", row.code) for row in prompts]
    return sorted([*_configurations(session, "interaction", code), *found], key=_order)


def uses_of_environment(session: Session, code: str) -> list[Use]:
    """The environment's releases: once something was published there, somebody may read it."""
    latest = session.scalar(
        text("SELECT max(number) FROM releases WHERE environment = :code"), {"code": code}
    )
    return [Use("release", str(latest), code)] if latest else []


def prompts_left_without(session: Session, interaction: str, declared: Collection[str]) -> list[str]:
    """What saved prompts of the interaction use that `declared` does not hold, in words; one for each prompt."""
    rows = session.execute(
        text(
            "SELECT DISTINCT ON (prompt.code) prompt.code, version.number, coalesce(version.expanded, version.body) AS text "
            "FROM prompts AS prompt JOIN prompt_versions AS version ON version.prompt_code = prompt.code "
            "WHERE prompt.interaction = :code AND prompt.archived_at IS NULL "
            "ORDER BY prompt.code, version.number DESC"
        ),
        {"code": interaction},
    )
    latest = rows.all()
    bodies = inspect_all(row.text for row in latest)
    missing = [
        (row, sorted(set(body.names) - set(declared))) for row, body in zip(latest, bodies, strict=True)
    ]
    return [
        f"template {row.code} (version {row.number}) uses {', '.join(names)}"
        for row, names in missing
        if names
    ]


def _configurations(session: Session, kind: str, code: str) -> list[Use]:
    saved = session.execute(
        text(f"SELECT {_PLACE} AS place FROM ({_LATEST}) AS latest WHERE {_CONFIGURATIONS[kind]}"),  # noqa: S608 - constants of this file
        {"code": code},
    )
    live = session.execute(
        text(
            "SELECT entry.environment, entry.key FROM release_entries AS entry "  # noqa: S608 - as above
            f"WHERE entry.valid_to IS NULL AND entry.key LIKE 'configuration/%' AND {_LIVE_CONFIGURATIONS[kind]}"
        ),
        {"code": code},
    )
    found = {Use("configuration", row.place) for row in saved}
    found |= {
        Use("configuration", row.key.removeprefix("configuration/").removesuffix("/*"), row.environment)
        for row in live
    }
    return sorted(found, key=_order)


def _order(use: Use) -> tuple[str, str, str]:
    return use.object_kind, use.object_key, use.environment or ""

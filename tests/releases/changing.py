"""Ways to change what is saved or live, shared by the tests of this folder."""

from typing import Any

from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.configurations import services as configurations
from controlplane.configurations.inputs import ConfigurationInput
from controlplane.prompts import services as prompts
from controlplane.releases import services
from controlplane.releases.compose import Document
from controlplane.releases.models import Release
from controlplane.releases.saved import live_entry, saved_entries

PREMIUM = "configuration/COACHING_RESPONSE/premium/*"
DEFAULT = "configuration/COACHING_RESPONSE/default/*"
PROMPT = "prompt/coaching_response"
GATE = "gate/COACHING_RESPONSE"
REASON = "Shorter answers, see the report of May"

PUBLISHER = Actor(kind="person", id="p-1", name="Grace", role=Role.PUBLISHER, via="browser")
EDITOR = Actor(
    kind="person", id="00000000-0000-4000-8000-000000000001", name="Ada", role=Role.EDITOR, via="browser"
)


def save_configuration(session: Session, *, tier: str | None = "premium", **values: Any) -> int:
    """Save a version of COACHING_RESPONSE with other values, and return its number."""
    found = configurations.get_configuration(session, "COACHING_RESPONSE", tier=tier)
    latest = found.versions[0]
    given = {
        "model": latest.model,
        "prompt": latest.prompt_code,
        "prompt_version": latest.prompt_version,
        "temperature": latest.temperature,
        "max_tokens": latest.max_tokens,
        "fallbacks": latest.fallbacks,
        "reason": REASON,
        **values,
    }
    version = configurations.save_version(
        session, found, ConfigurationInput(**given), base_version=latest.number, actor=EDITOR
    )
    session.commit()
    return version.number


def save_prompt(session: Session, *, suffix: str = "Be brief.", code: str = "coaching_response") -> int:
    """Save a version of a prompt that ends with another line, and return its number."""
    latest = prompts.latest_version(session, code)
    assert latest is not None
    version = prompts.save_version(
        session,
        prompts.get_prompt(session, code),
        body=f"{latest.body.rstrip()}\n{suffix}\n",
        base_version=latest.number,
        reason=REASON,
        actor=EDITOR,
    )
    session.commit()
    return version.number


def publish_saved(session: Session, environment: str, *keys: str, reason: str = REASON) -> Release:
    """Publish what is saved: these keys, or all that differ."""
    saved, _ = saved_entries(session, environment)
    chosen = keys or [change.key for change in services.unpublished(session, environment)]
    release = services.publish(
        session, environment, source=saved, keys=chosen, reason=reason, actor=PUBLISHER, source_name="saved"
    )
    session.commit()
    return release


def two_variants(session: Session, environment: str, key: str = PREMIUM, *, share: int = 10_000) -> Document:
    """Return a key's live document as a rollout to a next version would have it."""
    live = live_entry(session, environment, key)
    assert live is not None
    (old,) = live["variants"]
    new = {
        **old,
        "version": old["version"] + 1,
        "model": "CLAUDE_3_HAIKU",
        "ranges": [[100_000, 100_000 - share]],
    }
    return {**live, "variants": [{**old, "ranges": [[0, 100_000 - share]]}, new]}


def move(session: Session, environment: str, changes: dict[str, Document | None]) -> Release:
    """Make these documents live, as a rollout does."""
    release = services.publish_entries(
        session,
        environment,
        changes,
        reason=REASON,
        actor=PUBLISHER,
        action="rollout.started",
        sentence="started something",
        source_name="rollout",
    )
    session.commit()
    return release

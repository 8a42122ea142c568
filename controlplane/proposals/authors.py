"""Who wrote what a proposal would make live: the authors of every version from what is live up to what is proposed.

What is saved without versions (tiers, models, interactions) has its authors in the audit, and so has an archiving.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session, aliased

from controlplane.audit.models import AuditEvent
from controlplane.configurations.models import Configuration, ConfigurationVersion
from controlplane.configurations.places import Place
from controlplane.prompts.models import PromptVersion
from controlplane.proposals.content import Included
from controlplane.releases.compose import Document
from controlplane.releases.models import Release, ReleaseEntry

_WITHOUT_VERSIONS: Final = ("tier", "model", "interaction")
# An edit that was under way while a release was made may be older than the release and not part of it.
_UNDER_WAY: Final = dt.timedelta(minutes=5)

Names = dict[str, str]


def authors_of(session: Session, environment: str, included: Sequence[Included]) -> Names:
    """Return the names, by id, of everybody who wrote part of these entries."""
    return (
        _of_configurations(session, included)
        | _of_prompts(session, included)
        | _from_the_audit(session, environment, included)
    )


def _of_kind(included: Iterable[Included], kind: str) -> dict[str, Included]:
    return {
        each.key.partition("/")[2]: each
        for each in included
        if each.key.startswith(f"{kind}/") and each.after is not None
    }


def _of_configurations(session: Session, included: Sequence[Included]) -> Names:
    wanted = {Place.from_key(each.key): each for each in _of_kind(included, "configuration").values()}
    if not wanted:
        return {}
    interactions = {place.interaction for place in wanted}
    query = (
        select(
            Configuration.interaction,
            Configuration.tier,
            Configuration.tenant,
            ConfigurationVersion.number,
            ConfigurationVersion.author_id,
            ConfigurationVersion.author_name,
        )
        .join(ConfigurationVersion, ConfigurationVersion.configuration_id == Configuration.id)
        .where(Configuration.interaction.in_(interactions))
        .order_by(ConfigurationVersion.created_at, ConfigurationVersion.id)
    )
    found: Names = {}
    for interaction, tier, tenant, number, author_id, name in session.execute(query):
        entry = wanted.get(Place(interaction, tier, tenant))
        if entry is not None and _is_new(number, _variants(entry.before), _variants(entry.after)):
            found[author_id] = name
    return found


def _variants(document: Document | None) -> set[int]:
    return {variant["version"] for variant in (document or {}).get("variants", ())}


def _is_new(number: int, live: set[int], proposed: set[int]) -> bool:
    """Whether a version is part of what is proposed, or was built upon for it, and is not live yet."""
    return number in proposed - live or max(live, default=0) < number <= max(proposed, default=0)


def _of_prompts(session: Session, included: Sequence[Included]) -> Names:
    hashes, numbers = _new_texts(included), _numbers(included)
    if not hashes and not numbers:
        return {}
    query = (
        select(
            PromptVersion.prompt_code,
            PromptVersion.number,
            PromptVersion.sha256,
            PromptVersion.author_id,
            PromptVersion.author_name,
        )
        .where(PromptVersion.prompt_code.in_(numbers) | PromptVersion.sha256.in_(hashes))
        .order_by(PromptVersion.created_at, PromptVersion.id)
    )
    nothing: tuple[set[int], set[int]] = (set(), set())
    return {
        author_id: name
        for code, number, sha256, author_id, name in session.execute(query)
        if sha256 in hashes or _is_new(number, *numbers.get(code, nothing))
    }


def _new_texts(included: Sequence[Included]) -> set[str]:
    """Return the hashes of the texts that entries name and did not name before: what a bundle brings has numbers of its own."""
    return {
        prompt["sha256"]
        for each in included
        for prompt in _prompts(each.key, each.after)
        if prompt.get("sha256") and prompt not in _prompts(each.key, each.before)
    }


def _numbers(included: Sequence[Included]) -> dict[str, tuple[set[int], set[int]]]:
    """Return for each template whose version changes the versions before and after; for a pin only if it was one before."""
    found: dict[str, tuple[set[int], set[int]]] = {}
    for each in included:
        sides = [_versions(each.key, document) for document in (each.before, each.after)]
        for code, proposed in sides[1].items():
            if each.key.startswith("prompt/") or code in sides[0]:
                live, wanted = found.setdefault(code, (set(), set()))
                live |= sides[0].get(code, set())
                wanted |= proposed
    return found


def _versions(key: str, document: Document | None) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for prompt in _prompts(key, document):
        if "version" in prompt:
            found.setdefault(prompt["code"], set()).add(prompt["version"])
    return found


def _prompts(key: str, document: Document | None) -> list[dict[str, Any]]:
    """Return which texts an entry names, as variants do: code, version and hash."""
    if document is None:
        return []
    if key.startswith("prompt/"):
        return [{"code": key.partition("/")[2], **{name: document[name] for name in ("version", "sha256")}}]
    return [variant["prompt"] for variant in document.get("variants", ())]


def _from_the_audit(session: Session, environment: str, included: Sequence[Included]) -> Names:
    """Return who saved, since it is live, what has no versions, and who archived what is to be removed."""
    wanted = dict(filter(None, map(_told_of, included)))
    if not wanted:
        return {}
    live_since = _live_since(session, environment, list(wanted.values()))
    query = (
        select(
            AuditEvent.object_kind,
            AuditEvent.object_key,
            AuditEvent.actor_id,
            func.max(AuditEvent.actor_name),
            func.max(AuditEvent.at),
        )
        .where(tuple_(AuditEvent.object_kind, AuditEvent.object_key).in_(list(wanted)))
        .where(AuditEvent.actor_kind != "system", AuditEvent.release.is_(None), AuditEvent.proposal.is_(None))
        .group_by(AuditEvent.object_kind, AuditEvent.object_key, AuditEvent.actor_id)
        .order_by(AuditEvent.actor_id)
    )
    found: Names = {}
    for kind, code, author_id, name, last in session.execute(query):
        since = live_since.get(wanted[kind, code])
        if since is None or last > since - _UNDER_WAY:
            found[author_id] = name
    return found


def _told_of(entry: Included) -> tuple[tuple[str, str], str] | None:
    """Return by which kind and key the audit knows an entry, and its own key; None where versions tell who wrote it."""
    kind, _, code = entry.key.partition("/")
    if kind in _WITHOUT_VERSIONS:
        return (kind, code), entry.key
    if entry.after is None and kind == "configuration":
        return (kind, Place.from_key(entry.key).path), entry.key
    return ((kind, code), entry.key) if entry.after is None and kind == "prompt" else None


def _live_since(session: Session, environment: str, keys: Sequence[str]) -> dict[str, dt.datetime]:
    """Return when what is live was first made live: what was saved since and taken back by a release is not part of it."""
    live = aliased(ReleaseEntry)
    query = (
        select(live.key, func.min(Release.created_at))
        .join(
            ReleaseEntry,
            (ReleaseEntry.environment == live.environment)
            & (ReleaseEntry.key == live.key)
            & (ReleaseEntry.digest == live.digest),
        )
        .join(
            Release,
            (Release.environment == ReleaseEntry.environment) & (Release.number == ReleaseEntry.valid_from),
        )
        .where(live.environment == environment, live.key.in_(keys), live.valid_to.is_(None))
        .group_by(live.key)
    )
    return dict(session.execute(query).all())

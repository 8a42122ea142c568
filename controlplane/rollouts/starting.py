"""Starting rollouts: one candidate or several beside the live version, at once or one after the other.

What is counted (users, tenants, conversations) is chosen with the first of them. While one version is live for everybody,
another unit moves nobody; while several are, it would draw everybody again, and is refused.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.configurations.documents import place_of, variant_document
from controlplane.configurations.models import Configuration, ConfigurationVersion
from controlplane.db import Json
from controlplane.errors import Conflict, Refused
from controlplane.prompts.models import PromptVersion
from controlplane.releases.authority import DIRECT
from controlplane.releases.services import lock_environment
from controlplane.rollouts import documents, standing, wording
from controlplane.rollouts.models import Rollout
from controlplane.rollouts.moving import check_share, publish, refuse_moved
from controlplane.rollouts.ranges import Candidate, share_words
from controlplane.rollouts.settling import begun, settle
from controlplane.runtime.entries import UNIT_KINDS


def start(
    session: Session,
    environment: str,
    configuration: Configuration,
    *,
    candidates: Sequence[Candidate],
    reason: str,
    actor: Actor,
    unit: str | None = None,
    base: int | None = None,
) -> list[Rollout]:
    """Put candidates beside the live version, each at its share, as one release; return a rollout for each.

    Where rollouts run, these come beside them and take what they get from the baseline. Raises `Refused` when nothing or
    that very version is live, `Conflict` when a version is rolled out already or somebody was faster.
    """
    actor.require(Role.PUBLISHER)
    lock_environment(session, environment)
    before, after = _made(session, environment, configuration, candidates, unit=unit, base=base)
    settle(session, environment, configuration)
    place = place_of(configuration)
    release = publish(
        session,
        environment,
        place.key,
        after,
        told=("rollout.started", _sentence(environment, place.title, before, after)),
        on=("configuration", place.path),
        reason=reason,
        actor=actor,
        authority=DIRECT,
    )
    baseline = documents.versions_of(after)[0]
    rollouts = [begun(release, configuration, baseline, candidate.version) for candidate in candidates]
    session.add_all(rollouts)
    session.flush()
    return rollouts


def start_document(
    session: Session,
    environment: str,
    configuration: Configuration,
    *,
    candidates: Sequence[Candidate],
    unit: str | None = None,
    base: int | None = None,
) -> Json:
    """What `start` would make live, without making it: for a proposal. Raises what `start` does."""
    return _made(session, environment, configuration, candidates, unit=unit, base=base)[1]


def _made(
    session: Session,
    environment: str,
    configuration: Configuration,
    candidates: Sequence[Candidate],
    *,
    unit: str | None,
    base: int | None,
) -> tuple[Json, Json]:
    before = _startable(session, environment, configuration, candidates, base=base)
    after = _counted_by(before, unit)
    for at, candidate in enumerate(candidates):
        check_share(candidate.share, _named("share", at))
        left = documents.share_of(after, documents.versions_of(after)[0])
        if candidate.share > left:
            raise Refused(
                {_named("share", at): f"Enter {share_words(left)} or less: the rest is other candidates'."}
            )
        variant = _variant(session, configuration, candidate.version, _named("to_version", at))
        after = documents.with_candidate(after, variant, candidate.share)
    return before, after


def _startable(
    session: Session,
    environment: str,
    configuration: Configuration,
    candidates: Sequence[Candidate],
    *,
    base: int | None,
) -> Json:
    """The live document that these can be put into."""
    place = place_of(configuration)
    live = standing.live_entry(session, environment, place.key)
    versions = documents.versions_of(live.document)
    wanted = [candidate.version for candidate in candidates]
    for version in versions[1:]:
        if version in wanted:
            raise Conflict(
                f"A rollout of {place.title} runs already, from version {versions[0]} to {version}."
            )
    refuse_moved(session, environment, place.title, live, base)
    if live.document is None:
        raise Refused({"": f"Nothing of {place.title} is live in {environment}. Publish it first."})
    if configuration.archived_at is not None:
        raise Refused({"": f"{place.title} is archived. Bring it back before you change it."})
    for at, version in enumerate(wanted):
        if version in versions:
            raise Refused({_named("to_version", at): f"Version {version} is live for everyone already."})
        if version in wanted[:at]:
            raise Refused({_named("to_version", at): f"Version {version} is chosen twice."})
    return live.document


def _counted_by(document: Json, unit: str | None) -> Json:
    now = document.get("unit", "user")
    if unit is None or unit == now:
        return document
    if unit not in UNIT_KINDS:
        raise Refused({"unit": f"Choose one of {', '.join(UNIT_KINDS)}."})
    if len(documents.versions_of(document)) > 1:
        raise Refused(
            {
                "unit": f"A rollout here counts {wording.units_of(document)} while it runs: another unit would draw "
                "everybody again. Finish or abort it first."
            }
        )
    return {**document, "unit": unit}


def _variant(session: Session, configuration: Configuration, number: int, field: str) -> Json:
    """A saved version as a variant without buckets."""
    query = select(ConfigurationVersion).where(
        ConfigurationVersion.configuration_id == configuration.id, ConfigurationVersion.number == number
    )
    version = session.scalar(query)
    if version is None:
        raise Refused({field: f"There is no version {number} of {place_of(configuration).title}."})
    pinned = select(PromptVersion.sha256).where(
        PromptVersion.prompt_code == version.prompt_code, PromptVersion.number == version.prompt_version
    )
    sha256 = session.scalar(pinned) if version.prompt_version is not None else None
    return variant_document(version, ranges=(), pinned_sha256=sha256)


def _named(field: str, at: int) -> str:
    """The first candidate's fields are the form's own, the others stand in rows under it."""
    return field if at == 0 else f"also.{at - 1}.{field}"


def _sentence(environment: str, title: str, before: Json, after: Json) -> str:
    baseline, *others = documents.variants_of(after)
    there = documents.versions_of(before)
    new = [each for each in others if each["version"] not in there]
    told = [
        f"version {each['version']}{f' of {title}' if at == 0 else ''} at "
        f"{share_words(documents.share_of(after, each['version']))}"
        f"{f' of {wording.units_of(after)} in {environment}' if at == len(new) - 1 else ''}"
        f"{wording.settings_moved(baseline, each)}"
        for at, each in enumerate(new)
    ]
    beside = _beside({version: documents.share_of(after, version) for version in there[1:]})
    unit = "" if wording.units_of(before) == wording.units_of(after) else _drawn_anew(before, after)
    return f"started {' and '.join(told)}{beside}{unit}"


def _beside(shares: Mapping[int, int]) -> str:
    told = [f"version {version} at {share_words(share)}" for version, share in shares.items()]
    return f", beside {' and '.join(told)}" if told else ""


def _drawn_anew(before: Json, after: Json) -> str:
    return f"; it counts {wording.units_of(after)} from now on, where it counted {wording.units_of(before)}"

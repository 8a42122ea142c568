"""What every move has in common: the lock, the look at what others did meanwhile, and the release that it is."""

from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.audit.services import record
from controlplane.db import Json
from controlplane.errors import Conflict, Refused
from controlplane.registry.models import Environment
from controlplane.releases.authority import Authority
from controlplane.releases.history import get_release
from controlplane.releases.models import Release
from controlplane.releases.services import lock_environment, publish_entries, reason_problem
from controlplane.rollouts import standing
from controlplane.rollouts.models import Rollout
from controlplane.rollouts.ranges import share_words
from controlplane.rollouts.standing import Live, Standing
from controlplane.runtime.bucketing import BUCKETS


def check_share(share: int, field: str = "share") -> None:
    """Raise `Refused` at this field for what is no share."""
    if not 0 <= share <= BUCKETS:
        raise Refused({field: "Enter a share from 0 to 100."})


def locked(session: Session, rollout: Rollout, base: int | None) -> Standing:
    """The rollout as it stands, with nobody else able to move it; `Conflict` when it is over or was moved since `base`."""
    lock_environment(session, rollout.environment)
    session.refresh(rollout)
    here = standing.get_standing(session, rollout.environment, rollout.number)
    newest = here.end or here.last
    since = f"release {newest.release}, by {newest.by}"
    if not here.running:
        raise Conflict(f"This rollout is over since {since}. {here.sentence} Nothing was changed.")
    if base is not None and newest.release != base:
        beside = "".join(f", version {each} at {share_words(share)}" for each, share in here.others.items())
        raise Conflict(
            f"Somebody was faster: it is at {share_words(here.share)}{beside} since {since}. Nothing was changed."
        )
    return here


def refuse_paused(here: Standing, field: str, until: str) -> None:
    """Raise `Refused` at this field when a rollout is held where it is; `until` says what needs it resumed."""
    rollout = here.rollout
    if rollout.paused_at is not None:
        raise Refused(
            {field: f"It was paused by {rollout.paused_by}: “{rollout.paused_reason}”. Resume it {until}."}
        )


def refuse_moved(session: Session, environment: str, name: str, live: Live, base: int | None) -> None:
    """Raise `Conflict` when an entry was changed since `base`."""
    if base is None or live.release == base:
        return
    by = get_release(session, environment, live.release).author_name if live.release else "nobody"
    raise Conflict(
        f"{name} was changed meanwhile, in release {live.release}, by {by}. Nothing was changed by you."
    )


def publish(
    session: Session,
    environment: str,
    key: str,
    document: Json,
    *,
    told: tuple[str, str],
    on: tuple[str, str],
    reason: str,
    actor: Actor,
    authority: Authority,
) -> Release:
    """Make one entry live, told as (action, sentence) `on` (kind, key) of what it is about."""
    action, sentence = told
    try:
        return publish_entries(
            session,
            environment,
            {key: document},
            reason=reason,
            actor=actor,
            action=action,
            sentence=sentence,
            source_name="gate" if on[0] == "gate" else "rollout",
            object_kind=on[0],
            object_key=on[1],
            authority=authority,
        )
    except Refused as refusal:
        raise Refused(_by_field(refusal.errors)) from None


def _by_field(errors: dict[str, str]) -> dict[str, str]:
    """A form of a share has few fields: what is wrong with the documents is said about the whole."""
    found = {name: message for name, message in errors.items() if name == "reason"}
    rest = [message for name, message in errors.items() if name != "reason"]
    return {**found, "": " ".join(rest)} if rest else found


def checked_reason(session: Session, environment: str, reason: str) -> str:
    """Return a reason as it is kept, for what is no release; `Refused` where it is not one."""
    words = " ".join(reason.split())
    row = session.get(Environment, environment)
    problem = reason_problem(words, protected=row is None or row.protected)
    if problem:
        raise Refused({"reason": problem})
    return words


def tell(
    session: Session,
    here: Standing,
    action: str,
    sentence: str,
    *,
    reason: str,
    actor: Actor,
    change: tuple[Json, Json],
) -> None:
    """Record what moves nobody, and so is no release."""
    record(
        session,
        actor=actor,
        action=action,
        object_kind="configuration",
        object_key=here.place.path,
        environment=here.rollout.environment,
        sentence=sentence,
        reason=reason or None,
        before=change[0],
        after=change[1],
    )
    session.flush()

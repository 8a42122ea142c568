"""The kinds of event there are: for each action what it is called, how loud it is, and what its before and after hold.

A test holds the code to this list: an action that nobody listed here is found, and so is a line here that nothing records.
"""

import enum
from dataclasses import dataclass


class Holds(enum.Enum):
    """What an event carries besides its sentence."""

    NOTHING = "nothing"  # the sentence says it all: somebody signed in, asked for a file
    FIELDS = "fields"  # the fields that changed, before and after
    DOCUMENTS = "documents"  # whole entries of a release by their keys, before and after
    TEXT = "text"  # the number and digest of a text; versions never change, so the text is looked up


@dataclass(frozen=True)
class Kind:
    """One kind of event."""

    action: str
    title: str
    holds: Holds = Holds.FIELDS
    tone: str = "neutral"
    changes: bool = True
    """Whether it changes a state; the others tell of coming, going and looking."""


_LOUD, _LIVE, _MOVES = "failed", "live", "rolling"

_LISTED = (
    Kind("changes.exported", "Changes exported", changes=False),
    Kind("configuration.archived", "Configuration archived", tone=_LOUD),
    Kind("configuration.created", "Configuration created"),
    Kind("configuration.restored", "Configuration restored"),
    Kind("configuration.version_saved", "Configuration saved"),
    *(
        Kind(f"{kind}.{verb}", f"{kind.capitalize()} {verb}", tone=_LOUD if verb == "archived" else "neutral")
        for kind in ("environment", "interaction", "model", "tier")
        for verb in ("added", "archived", "changed", "restored")
    ),
    Kind("gate.lowered", "Gate lowered", Holds.DOCUMENTS, _MOVES),
    Kind("gate.raised", "Gate raised", Holds.DOCUMENTS, _MOVES),
    *(
        Kind(
            f"{kind}.plan_{verb}",
            f"Plan of a {kind} {verb}",
            tone=_LOUD if verb == "stopped" else _MOVES if verb == "started" else "neutral",
        )
        for kind in ("gate", "rollout")
        for verb in ("cancelled", "changed", "continued", "started", "stepped", "stopped")
    ),
    Kind("guard.chosen", "Guards chosen"),
    Kind("guard.set_off", "Guard set off", Holds.NOTHING, _LOUD, changes=False),
    Kind("people.exported", "Access list exported", changes=False),
    Kind("person.added", "Person added"),
    Kind("person.disabled", "Person disabled", tone=_LOUD),
    Kind("person.enabled", "Person enabled"),
    Kind("person.password_changed", "Password changed", Holds.NOTHING),
    Kind("person.password_reset", "Password reset", Holds.NOTHING),
    Kind("person.refused", "Refused for their role", Holds.NOTHING, _LOUD, changes=False),
    Kind("person.reviewer_made", "Made a reviewer"),
    Kind("person.reviewer_unmade", "No reviewer any more"),
    Kind("person.role_changed", "Role changed"),
    Kind("person.sign_in_refused", "Sign-in refused", Holds.NOTHING, _LOUD, changes=False),
    Kind("person.signed_in", "Signed in", Holds.NOTHING, changes=False),
    Kind("person.signed_out", "Signed out", Holds.NOTHING, changes=False),
    Kind("prompt.archived", "Template archived", tone=_LOUD),
    Kind("prompt.created", "Template created", Holds.TEXT),
    Kind("prompt.restored", "Template restored"),
    Kind("prompt.tried", "Template tried with a model", changes=False),
    Kind("prompt.version_saved", "Template saved", Holds.TEXT),
    *(
        Kind(f"proposal.{verb}", f"Proposal {verb}", tone=_LOUD if verb in {"conflicted", "rejected"} else "neutral")
        for verb in (
            "approved", "changed", "commented", "conflicted", "created", "rejected", "scheduled", "stopped",
            "submitted", "unscheduled", "withdrawn",
        )
    ),
    Kind("record.archived", "Month of the record archived"),
    Kind("release.caught_up", "Release went over the store", Holds.DOCUMENTS, _LIVE),
    Kind("release.published", "Release published", Holds.DOCUMENTS, _LIVE),
    Kind("release.reverted", "Release taken back", Holds.DOCUMENTS, _LIVE),
    Kind("release.rolled_back", "Rolled back", Holds.DOCUMENTS, _LIVE),
    Kind("replay.mismatched", "Recorded calls decided otherwise", tone=_LOUD, changes=False),
    Kind("review.answered", "Query answered"),
    Kind("review.commented", "Review commented on"),
    Kind("review.disputed", "Change disputed", tone=_LOUD),
    Kind("review.queried", "Change queried"),
    Kind("review.reviewed", "Change reviewed"),
    Kind("review.rules_changed", "Rules of review changed"),
    Kind("review.signed_off", "Changes signed off"),
    Kind("rollout.aborted", "Rollout aborted", Holds.DOCUMENTS, _LOUD),
    Kind("rollout.finished", "Rollout finished", Holds.DOCUMENTS, _LIVE),
    Kind("rollout.lowered", "Rollout lowered", Holds.DOCUMENTS, _MOVES),
    Kind("rollout.moved", "Rollout shares moved", Holds.DOCUMENTS, _MOVES),
    Kind("rollout.paused", "Rollout paused", tone="paused"),
    Kind("rollout.raised", "Rollout raised", Holds.DOCUMENTS, _MOVES),
    Kind("rollout.resumed", "Rollout resumed", tone=_MOVES),
    Kind("rollout.started", "Rollout started", Holds.DOCUMENTS, _MOVES),
    Kind("sample.added", "Sample set added"),
    Kind("sample.changed", "Sample set changed"),
    Kind("sample.made_default", "Sample set made the default"),
    Kind("sample.removed", "Sample set removed", tone=_LOUD),
    Kind("snippet.archived", "Snippet archived", tone=_LOUD),
    Kind("snippet.created", "Snippet created", Holds.TEXT),
    Kind("snippet.restored", "Snippet restored"),
    Kind("snippet.version_saved", "Snippet saved", Holds.TEXT),
    Kind("store.pruned", "Store cleaned up"),
    Kind("switch.lifted", "Kill switch lifted"),
    Kind("switch.thrown", "Kill switch thrown", tone=_LOUD),
    Kind("token.created", "Token made", tone="differs"),
    Kind("token.refused", "Token refused", Holds.NOTHING, _LOUD, changes=False),
    Kind("token.revoked", "Token revoked", tone=_LOUD),
    Kind("token.used", "Token used", Holds.NOTHING, changes=False),
    Kind("view.removed", "View removed", Holds.NOTHING),
    Kind("view.shared", "View shared"),
    Kind("view.unshared", "View no longer shared", Holds.NOTHING),
)  # fmt: skip

KINDS: dict[str, Kind] = {kind.action: kind for kind in _LISTED}


def kind_of(action: str) -> Kind:
    """The kind of an action. One of a later version of this product is shown as it is called."""
    return KINDS.get(action) or Kind(
        action, action.replace(".", " ").replace("_", " ").capitalize(), Holds.FIELDS
    )

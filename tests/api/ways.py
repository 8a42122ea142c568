"""Every address of the API, with a call that is in order: for tests that go through all of them.

A case makes ready what it needs and returns the address and, for what changes something, the document to send.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.prompts import services as prompts
from controlplane.proposals import services as proposals
from controlplane.switches import services as switches
from controlplane.tokens.scopes import Scope
from tests.proposals.stage import make_submitted
from tests.rollouts.walk import Walk, second_version

REASON = {"reason": "because of a test of the API"}
ADA = Actor(kind="person", id="ada", name="Ada", role=Role.ADMIN, via="browser")

Sent = tuple[str, Mapping[str, Any] | None]


@dataclass(frozen=True)
class Way:
    """One address: what it needs, how it is called rightly, and what the record tells of it then."""

    scope: Scope
    case: Callable[[Session], Sent]
    action: str | None = None


def at(path: str, document: Mapping[str, Any] | None = None) -> Callable[[Session], Sent]:
    return lambda _: (path, document)


def save_text(session: Session, actor: Actor = ADA) -> str:
    """Have a text that is saved and not live; return its key."""
    prompt = prompts.get_prompt(session, "coaching_response")
    latest = prompt.versions[0]
    prompts.save_version(
        session,
        prompt,
        body=f"{latest.body}\nMore.\n",
        base_version=latest.number,
        reason="A test",
        actor=actor,
    )
    session.commit()
    return "prompt/coaching_response"


def text(session: Session) -> Sent:
    saved = prompts.get_prompt(session, "coaching_response").versions[0]
    document = {"body": f"{saved.body}\nMore.\n", "base_version": saved.number, **REASON}
    return "/templates/coaching_response", document


def values(temperature: float = 0.1) -> dict[str, Any]:
    return {"model": "CLAUDE_3_5_SONNET", "prompt": "coaching_response", "temperature": temperature, **REASON}


def publish(session: Session) -> Sent:
    return "/production/publish", {"entries": [save_text(session)], **REASON}


def propose(session: Session) -> Sent:
    return "/production/proposals", {"entries": [save_text(session)], **REASON}


def publish_proposal(session: Session) -> Sent:
    made = make_submitted(session, ADA)
    session.commit()
    return f"/production/proposals/{made.number}/publish", {}


def proposal(session: Session) -> Sent:
    made = make_submitted(session, ADA)
    session.commit()
    return f"/production/proposals/{made.number}", None


def roll_back(session: Session) -> Sent:
    made = make_submitted(session, ADA)
    proposals.publish(session, "production", made.number, revision=made.revision, actor=ADA)
    session.commit()
    return "/production/rollback", {"release": 1, **REASON}


def abort(session: Session) -> Sent:
    rollout = Walk(session, ADA, second_version(session, ADA)).start(10_000)
    session.commit()
    return f"/production/rollouts/{rollout.number}/abort", REASON


def lift(session: Session) -> Sent:
    switches.throw(session, "production", "COACHING_RESPONSE", actor=ADA, **REASON)
    session.commit()
    return "/production/switches/COACHING_RESPONSE/lift", REASON


PLACE = "/configurations/COACHING_RESPONSE/premium"

READING: dict[str, Way] = {
    f"GET /api/v1{rule}": Way(Scope.READ, case)
    for rule, case in {
        "/environments": at("/environments"),
        "/<environment>/live": at("/production/live"),
        "/<environment>/releases": at("/production/releases"),
        "/<environment>/releases/<int:number>": at("/production/releases/1"),
        "/<environment>/unpublished": at("/production/unpublished"),
        "/<environment>/proposals/<int:number>": proposal,
        "/<environment>/rollouts": at("/production/rollouts"),
        "/<environment>/switches": at("/production/switches"),
        "/<environment>/explain": at(
            "/production/explain?interaction=COACHING_RESPONSE&tier=premium&unit=u1"
        ),
        "/templates/<code>": at("/templates/coaching_response"),
        "/configurations/<interaction>/<tier>": at(PLACE),
        "/configurations/<interaction>/<tier>/<tenant>": at(f"{PLACE}/acme"),
        "/changes": at("/changes"),
    }.items()
}

WRITING: dict[str, Way] = {
    "PUT /api/v1/templates/<code>": Way(Scope.EDIT, text, "prompt.version_saved"),
    "PUT /api/v1/configurations/<interaction>/<tier>": Way(
        Scope.EDIT, at(PLACE, {**values(), "base_version": 1}), "configuration.version_saved"
    ),
    "PUT /api/v1/configurations/<interaction>/<tier>/<tenant>": Way(
        Scope.EDIT, at(f"{PLACE}/acme", values()), "configuration.created"
    ),
    "POST /api/v1/<environment>/publish": Way(Scope.PUBLISH, publish, "release.published"),
    "POST /api/v1/<environment>/proposals": Way(Scope.EDIT, propose, "proposal.submitted"),
    "POST /api/v1/<environment>/proposals/<int:number>/publish": Way(
        Scope.PUBLISH, publish_proposal, "release.published"
    ),
    "POST /api/v1/<environment>/rollback": Way(Scope.OPERATE, roll_back, "release.rolled_back"),
    "POST /api/v1/<environment>/rollouts/<int:number>/abort": Way(Scope.OPERATE, abort, "rollout.aborted"),
    "POST /api/v1/<environment>/switches/<target>/throw": Way(
        Scope.OPERATE, at("/production/switches/COACHING_RESPONSE/throw", REASON), "switch.thrown"
    ),
    "POST /api/v1/<environment>/switches/<target>/lift": Way(Scope.OPERATE, lift, "switch.lifted"),
}

WAYS = {**READING, **WRITING}

"""What is known against going on: asked before each step of a plan, also when a person takes it before its time."""

from sqlalchemy.orm import Session

from controlplane.guards.asking import Verdict, ask


def known_against(session: Session, rollout: int) -> str | None:
    """Why a rollout must not climb now, in words; None when nothing is known against it."""
    answer = ask(session, rollout)
    return answer.words if answer.verdict is Verdict.BREACHED else None

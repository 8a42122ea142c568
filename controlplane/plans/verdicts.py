"""What is known against going on: asked before each step of a plan, also when a person takes it before its time."""

from sqlalchemy.orm import Session


def known_against(session: Session, rollout: int) -> str | None:  # noqa: ARG001 (nobody watches yet)
    """Why a rollout must not climb now, in words; None when nothing is known against it."""
    return None

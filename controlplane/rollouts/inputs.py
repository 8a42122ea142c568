"""What people may send: a share as typed, a reason, and the release their page was made from."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator

from controlplane.rollouts.ranges import parse_share


def _share(value: object) -> int:
    return parse_share(value if isinstance(value, str) else "")


def _release(value: object) -> int:
    # A page always sends it. One that does not is treated as older than everything: shown again, nothing done.
    text = value if isinstance(value, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _version(value: object) -> int:
    text = (value if isinstance(value, str) else "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError("Choose a version.")
    return int(text)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


Share = Annotated[int, BeforeValidator(_share)]
Base = Annotated[int, BeforeValidator(_release)]
Reason = Annotated[str, BeforeValidator(_text)]


class ReasonInput(BaseModel):
    """For abort, pause, resume and finish."""

    reason: Reason = ""
    base: Base = 0


class ShareInput(ReasonInput):
    """For moving a share."""

    share: Share


class StartInput(ShareInput):
    """For starting a rollout."""

    to_version: Annotated[int, BeforeValidator(_version)]

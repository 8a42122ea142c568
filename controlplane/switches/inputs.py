"""What people may send: a reason, and for the switch of everything the environment's code."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


Text = Annotated[str, BeforeValidator(_text)]


class TurnInput(BaseModel):
    """For throwing and lifting; the service says what is wrong with a reason."""

    reason: Text = ""
    confirm: Text = ""

    def confirms(self, environment: str) -> bool:
        """Whether the environment's code was typed."""
        return self.confirm.strip() == environment

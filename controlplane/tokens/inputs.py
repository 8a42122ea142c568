"""What people may send about tokens, checked once."""

from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints

from controlplane.tokens.scopes import LONGEST_LIFE, Scope

LIVES: Final = (7, 30, 90, 180, LONGEST_LIFE)
DEFAULT_LIFE: Final = 90


class TokenInput(BaseModel):
    """A new token. Without a choice of environments it is for all of them."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
    scopes: Annotated[list[Scope], Field(min_length=1)]
    environment: str | None = None
    days: Annotated[
        int,
        BeforeValidator(lambda value: DEFAULT_LIFE if value is None else value),
        Field(ge=1, le=LONGEST_LIFE),
    ] = DEFAULT_LIFE


class RevokeInput(BaseModel):
    """The token's name, typed."""

    confirm: Annotated[str, BeforeValidator(lambda value: value if isinstance(value, str) else "")] = ""

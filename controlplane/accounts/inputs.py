"""What people may send about accounts, checked once."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from controlplane.accounts.actor import Role
from controlplane.config import PASSWORD_LENGTH
from controlplane.errors import FieldError


def _is_address(value: str) -> str:
    local, at, domain = value.partition("@")
    if not local or not at or not domain or "@" in domain or any(each.isspace() for each in value):
        raise ValueError("Enter an e-mail address, such as ada@example.com.")
    return value


Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(_is_address)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
NewPassword = Annotated[str, StringConstraints(min_length=PASSWORD_LENGTH[0], max_length=PASSWORD_LENGTH[1])]
TypedPassword = Annotated[str, StringConstraints(max_length=1000)]


class SignInInput(BaseModel):
    """The sign-in form. Nothing is said about the shape of either value: they are right or they are not."""

    email: Annotated[str, StringConstraints(max_length=200)]
    password: TypedPassword
    next: str | None = None


class PersonInput(BaseModel):
    """A new person."""

    model_config = ConfigDict(str_strip_whitespace=True)

    name: Name
    email: Email
    role: Role = Role.VIEWER


class RoleInput(BaseModel):
    """Another role."""

    role: Role


class ReviewerInput(BaseModel):
    """Whether somebody may look at changes after the fact."""

    may_review: bool


class PasswordInput(BaseModel):
    """A change of one's own password."""

    current: TypedPassword
    new: NewPassword
    again: TypedPassword = Field(description="the new one once more")

    @model_validator(mode="after")
    def _typed_twice_alike(self) -> Self:
        if self.new != self.again:
            raise FieldError("again", "The two new passwords differ.")
        return self


class ThemeInput(BaseModel):
    """The choice of a theme."""

    theme: str
    next: str | None = None

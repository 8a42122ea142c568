"""What a service may refuse, and why.

    ControlPlaneError
    ├── NotFound       no such object
    ├── Forbidden      this actor may not
    ├── Conflict       the object moved on meanwhile
    └── Refused        the values are wrong, field by field

Services raise these; `web/error_pages.py` and the forms translate them in one place.
"""

from collections.abc import Mapping


class ControlPlaneError(Exception):
    """The base of everything a service refuses; its text is fit to be shown to a person."""


class NotFound(ControlPlaneError):  # noqa: N818 - the name reads as what is raised: "raise NotFound(...)"
    """There is no object of this kind under this key."""

    def __init__(self, kind: str, key: object) -> None:
        self.kind = kind
        self.key = str(key)
        super().__init__(f"There is no {kind} {self.key}.")


class Forbidden(ControlPlaneError):  # noqa: N818 - as above
    """The actor's role is not enough; `needs` names the one that is."""

    def __init__(self, needs: str) -> None:
        self.needs = needs
        super().__init__(f"This needs the role {needs}.")


class Conflict(ControlPlaneError):  # noqa: N818 - as above
    """Somebody else changed the object since it was read; nothing was written."""


class Refused(ControlPlaneError):  # noqa: N818 - as above
    """The values cannot be accepted; `errors` maps a field ("" for the whole) to what to do about it."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        self.errors = dict(errors)
        super().__init__(" ".join(self.errors.values()))


class FieldError(ValueError):
    """Raised by a rule over several fields of an input when its words belong beside one of them."""

    def __init__(self, name: str, message: str) -> None:
        self.field = name
        super().__init__(message)

"""What can go wrong in the runtime, as one small tree.

    ControlPlaneRuntimeError
    ├── SnapshotRefused              these bytes are not a release that can be served
    │   └── EntryRefused             one entry of it cannot be read
    ├── ConfigurationNotFoundError   no configuration counts for this request
    ├── TemplateNotFoundError        the release has no such prompt
    ├── PromptProfileError           the prompt uses something that prompts may not use
    ├── TemplateRenderError          the prompt could not be turned into text
    │   └── ParameterError           a parameter is missing, of the wrong type or too large
    └── StoreError                   the store answered, but not as it should
        └── StoreUnavailable         the store did not answer

The providers' errors hang under the same root, in `providers/errors.py`.

Each has a `kind`: the word for it in metrics, in attempts and in answers over HTTP. A class without one has its parent's.
"""

from typing import ClassVar


class ControlPlaneRuntimeError(Exception):
    """The base of everything the runtime raises; its text is fit to be shown to a person."""

    kind: ClassVar[str] = "runtime"


class SnapshotRefused(ControlPlaneRuntimeError):  # noqa: N818 - the name reads as what is raised
    """The bytes are not a snapshot that may be served; the last good one goes on serving."""

    kind = "release_refused"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class EntryRefused(SnapshotRefused):
    """One entry cannot be read; `field` is a path such as `variants[0].model`, or empty for the whole."""

    kind = "entry_refused"

    def __init__(self, key: str, field: str, message: str) -> None:
        self.key = key
        self.field = field
        self.message = message
        super().__init__(f"{key}: {field}: {message}" if field else f"{key}: {message}")


class ConfigurationNotFoundError(ControlPlaneRuntimeError):
    """No configuration counts for this interaction and tier, not even the environment's default."""

    kind = "no_configuration"

    def __init__(self, interaction: str, tier: str | None) -> None:
        self.interaction = interaction
        self.tier = tier
        whom = f"tier {tier}" if tier else "any tier"
        super().__init__(f"No active configuration for {interaction} and {whom}, and no default.")


class TemplateNotFoundError(ControlPlaneRuntimeError):
    """The release has no prompt of this code (or no body of this hash)."""

    kind = "no_template"

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(f"There is no prompt template {code} in this release.")


class PromptProfileError(ControlPlaneRuntimeError):
    """The prompt uses something that prompts may not use, or is not a template at all."""

    kind = "prompt_profile"

    def __init__(
        self, message: str, line: int | None = None, column: int | None = None, length: int = 1
    ) -> None:
        self.message = message
        self.line = None if line is None else int(line)  # a `Place` knows more, and cannot be written as JSON
        self.column = column
        self.length = length
        super().__init__(f"Line {line}: {message}" if line else message)


class TemplateRenderError(ControlPlaneRuntimeError):
    """The prompt could not be turned into text; never an empty hole, never half a prompt."""

    kind = "render"

    def __init__(
        self,
        message: str,
        *,
        prompt: str | None = None,
        version: int | None = None,
        line: int | None = None,
        parameter: str | None = None,
    ) -> None:
        self.message = message
        self.prompt = prompt
        self.version = version
        self.line = line
        self.parameter = parameter
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        where = []
        if self.prompt:
            where.append(f"{self.prompt} version {self.version}" if self.version else self.prompt)
        if self.line:
            where.append(f"line {self.line}")
        return f"{', '.join(where)}: {self.message}" if where else self.message


class ParameterError(TemplateRenderError):
    """A parameter is missing, undeclared, of the wrong type or too large; `name` says which."""

    kind = "parameter"

    def __init__(
        self, name: str, message: str, *, prompt: str | None = None, version: int | None = None
    ) -> None:
        self.name = name
        super().__init__(message, prompt=prompt, version=version, parameter=name)


class StoreError(ControlPlaneRuntimeError):
    """The store answered with something that cannot be used."""

    kind = "store"


class StoreUnavailable(StoreError):  # noqa: N818 - the name reads as what is raised
    """The store could not be reached, or was too slow."""

    kind = "store_unavailable"

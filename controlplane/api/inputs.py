"""What programs may send, checked once. What is not known is refused: a field that was mistyped must not be passed over."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from controlplane.audit.language import LONGEST
from controlplane.prompts.inputs import Description

LARGEST = 2**31 - 1
MOST_CHANGES = 500

Key = Annotated[str, StringConstraints(min_length=1, max_length=400)]
# Written out, so that nobody publishes a colleague's unfinished work by leaving a field out.
Entries = Literal["all"] | Annotated[list[Key], Field(min_length=1, max_length=2000)]


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("There is a NUL character here, which no text may hold.")
    return text


Reason = Annotated[str, StringConstraints(max_length=10_000), AfterValidator(_without_nul)]


def _entries(value: object) -> object:
    if value == "all" or (isinstance(value, list) and value and all(isinstance(each, str) for each in value)):
        return value
    raise ValueError('Name the entries by their keys, ["prompt/…"], or write "all".')


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class PublishInput(_Sent):
    """What of that which is saved is to go live, and why."""

    entries: Annotated[Entries, BeforeValidator(_entries)]
    reason: Reason = ""


class ProposeInput(PublishInput):
    """The same for a proposal, from any source; a draft is nobody's turn yet."""

    source: Annotated[
        str,
        StringConstraints(pattern=r"^(saved|environment:[a-z0-9_-]{1,63}|release:\d{1,9}(:revert)?)$"),
    ] = "saved"
    draft: bool = False


class RollBackInput(_Sent):
    """A release to go back to, and why; left out, `entries` are all that differ."""

    release: Annotated[int, Field(ge=1, le=LARGEST)]
    entries: Annotated[Entries, BeforeValidator(_entries)] = "all"
    reason: Reason = ""


class NothingInput(_Sent):
    """An empty object: what there is to say stands in the proposal."""


class ReasonInput(_Sent):
    """Why."""

    reason: Reason = ""


class ThrowInput(ReasonInput):
    """Why; and to switch everything off, the environment's code once more."""

    confirm: str = ""


class TemplateInput(_Sent):
    """A template's text. `base_version` is the version it was made from; a new template has none, and an interaction."""

    body: Annotated[str, StringConstraints(max_length=1_000_000)]
    reason: Reason = ""
    base_version: Annotated[int, Field(ge=1, le=LARGEST)] | None = None
    interaction: Annotated[str, StringConstraints(max_length=64)] | None = None
    description: Annotated[Description, AfterValidator(_without_nul)] = ""


class ConfigurationSent(_Sent):
    """A configuration's values, checked where the form's are; `base_version` as for a template."""

    model_config = ConfigDict(extra="allow", strict=True)

    base_version: Annotated[int, Field(ge=1, le=LARGEST)] | None = None

    @property
    def values(self) -> dict[str, Any]:
        """The values themselves."""
        return self.model_extra or {}


class ListQuery(BaseModel):
    """A list that goes on under a number."""

    before: Annotated[int, Field(ge=1, le=LARGEST)] | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class ChangesQuery(BaseModel):
    """What of the record is asked for, after which event."""

    q: Annotated[str, StringConstraints(max_length=LONGEST)] = ""
    after: Annotated[int, Field(ge=0, le=2**62)] = 0
    limit: Annotated[int, Field(ge=1, le=MOST_CHANGES)] = 100
    format: Literal["json", "ndjson"] = "json"

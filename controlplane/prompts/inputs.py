"""What people send about prompts, checked once."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from controlplane.audit.keys_in_text import problem_of
from controlplane.samples.inputs import LONGEST_NAME

LONGEST_BODY = (
    200_000  # characters; the profile's 64 KiB are checked, with better words, where the text is rendered
)


def _without_keys(text: str) -> str:
    if problem := problem_of(text):
        raise ValueError(problem)
    return text


Reason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500), AfterValidator(_without_keys)
]
Description = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(_without_keys)
]
Body = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_BODY)]


class VersionInput(BaseModel):
    """A text to be saved as the next version; `base_version` is the one it was made from."""

    body: Body
    base_version: Annotated[int, Field(ge=1)]
    reason: Reason


class NewPromptInput(BaseModel):
    """A prompt with its first text."""

    code: str
    interaction: str
    description: Description | None = None
    body: Body
    reason: Reason


class DraftInput(BaseModel):
    """Unsaved work. It may be empty or wrong in any way: it is kept as it is."""

    body: Annotated[str, StringConstraints(max_length=LONGEST_BODY)] | None = None
    base_version: Annotated[int, Field(ge=1)]


class ReasonInput(BaseModel):
    """Why something is archived or restored."""

    reason: Reason


class AsTyped(BaseModel):
    """A form that is only shown again, with its preview: nothing in it is checked."""


class NewSampleInput(BaseModel):
    """The name under which the editor's values are to be kept."""

    sample_name: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_NAME)
    ]
    sample_must_pass: bool = False

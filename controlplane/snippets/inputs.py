"""What people send about snippets, checked once."""

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from controlplane.prompts.inputs import AsTyped, Body, Description, DraftInput, Reason, ReasonInput

__all__ = ["AsTyped", "NewSnippetInput", "ReasonInput", "SnippetDraftInput", "SnippetVersionInput"]


class SnippetVersionInput(BaseModel):
    """A text to be saved as the next version; `base_version` is the one it was made from."""

    body: Body
    base_version: Annotated[int, Field(ge=1)]
    reason: Reason


class SnippetDraftInput(DraftInput):
    """Unsaved work on a snippet, kept as it is, with the reason as far as it is written."""

    reason: Annotated[str, StringConstraints(max_length=2_000)] | None = None


class NewSnippetInput(BaseModel):
    """A snippet with its first text."""

    code: Annotated[str, StringConstraints(strip_whitespace=True)]
    description: Description | None = None
    body: Body
    reason: Reason

"""The form in which a prompt's text is kept, and the entry that a release holds for it. Pure."""

from typing import Any

from controlplane.prompts.models import Prompt, PromptVersion
from controlplane.runtime import canonical


def digest(body: str) -> str:
    """Return the SHA-256 under which stores and snapshots keep this text."""
    return canonical.digest(body.encode())


def entry_document(prompt: Prompt, version: PromptVersion) -> dict[str, Any]:
    """Return the document of the entry `prompt/<code>` when this version is live.

    Which snippets are in its text is for people who compare two releases; the runtime passes it over.
    """
    document = {
        "interaction": prompt.interaction,
        "version": version.number,
        "sha256": version.sha256,
        "size": len(version.text.encode()),
    }
    return document | {"snippets": version.snippets} if version.snippets else document

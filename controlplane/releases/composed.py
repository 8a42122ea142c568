"""A proposal put onto what is live now: what it would change, and what would be live then."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import msgspec
from sqlalchemy.orm import Session

from controlplane.releases.compose import Document
from controlplane.releases.content import Content, Live, live_content
from controlplane.releases.diff import EntryChange, diff
from controlplane.releases.saved import documents_of
from controlplane.runtime import canonical, entries
from controlplane.runtime.entries import Parameter
from controlplane.runtime.validate import Problem

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class Side:
    """What is live before or after: its documents and texts, each looked up when it is asked for."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self._documents: dict[str, Document | None] = {}

    def document(self, key: str) -> Document | None:
        """Return one document."""
        if key not in self._documents:
            text = self.content.texts.get(key)
            self._documents[key] = None if text is None else _decode(text)
        return self._documents[key]

    def model(self, code: str) -> Document | None:
        """Return a model's document."""
        return self.document(entries.model_key(code))

    def body(self, reference: Mapping[str, Any]) -> str | None:
        """Return the text that a variant's prompt comes to: the pinned one, else the live one."""
        prompt = self.document(entries.prompt_key(str(reference.get("code")))) or {}
        return self.content.bodies.get(reference.get("sha256") or prompt.get("sha256", ""))

    def parameters(self, interaction: str) -> tuple[Parameter, ...]:
        """Return what an interaction declares; nothing for one that cannot be read, which is told elsewhere."""
        document = self.document(entries.interaction_key(interaction))
        try:
            return msgspec.convert(document or {}, entries.Interaction).parameters
        except msgspec.ValidationError:
            return ()

    def configurations_naming(self, code: str) -> Iterator[tuple[str, Document]]:
        """Yield the configurations whose variants name this prompt or model; most are passed over without being decoded."""
        named = f'"{code}"'.encode()
        for key, text in self.content.texts.items():
            if key.startswith("configuration/") and named in text:
                yield key, self.document(key) or {}


@dataclass(frozen=True)
class Composed:
    """Both sides, and what leads from one to the other. `unwritten` are documents that cannot be written down at all."""

    changes: Sequence[EntryChange]
    live: Live
    content: Content
    unwritten: Sequence[Problem]

    @cached_property
    def before(self) -> Side:
        """What is live now."""
        return Side(self.live.content)

    @cached_property
    def after(self) -> Side:
        """What would be."""
        return Side(self.content)

    @cached_property
    def problems(self) -> list[Problem]:
        """All that is wrong with what would be live: what publishing would be refused for."""
        return [*self.unwritten, *self.content.problems(after=self.live)]


def compose_now(session: Session, environment: str, proposed: Mapping[str, Document | None]) -> Composed:
    """Put documents by key (None removes one) onto what is live in an environment now."""
    live = live_content(session, environment)
    before = documents_of(live.content.texts, proposed)
    after = {key: document for key, document in proposed.items() if document is not None}
    changes = diff(before, after)
    content, unwritten = live.content.changed(session, changes)
    return Composed(changes, live, content, unwritten)


def compose_text(session: Session, environment: str, key: str, body: str, *, interaction: str) -> Composed:
    """Put a text, whether it is saved or not, onto what is live in an environment now, as the template with this key."""
    live = live_content(session, environment)
    data = body.encode(errors="replace")
    before = documents_of(live.content.texts, [key])
    digest = canonical.digest(data)
    if before.get(key, {}).get("sha256") == digest:
        return Composed([], live, live.content, [])
    version = before.get(key, {}).get("version", 0) + 1
    document = {"interaction": interaction, "version": version, "sha256": digest, "size": len(data)}
    changes = diff(before, {key: document})
    content, unwritten = live.content.changed(session, changes)
    return Composed(changes, live, replace(content, bodies={**content.bodies, digest: body}), unwritten)


def variants_of(document: Document | None) -> list[Document]:
    """Return a configuration's variants, as far as they can be read."""
    found = (document or {}).get("variants")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []

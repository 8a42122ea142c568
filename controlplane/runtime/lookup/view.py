"""The part of a release that calls of one interaction and tenant may need, as a snapshot of its own."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from controlplane.runtime.acceptance import COMPILED
from controlplane.runtime.canonical import digest
from controlplane.runtime.entries import Configuration, PromptEntry
from controlplane.runtime.errors import PromptProfileError, SnapshotRefused, TemplateNotFoundError
from controlplane.runtime.lookup.cards import Documents, snapshot_bytes
from controlplane.runtime.renderer import CompiledPrompt, compile_prompt
from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.stores.base import Pointer, ReleaseStore

if TYPE_CHECKING:
    from controlplane.runtime.lookup.texts import Texts

DerivedT = TypeVar("DerivedT")


class Text(NamedTuple):
    """A prompt's text, ready to render."""

    body: str
    program: CompiledPrompt


def read_text(store: ReleaseStore, sha256: str) -> Text:
    """Return a prompt's text by its hash; raises `StoreError`, or `SnapshotRefused` for one that may not be served."""
    body = store.read_prompt(sha256)
    if digest(body.encode(errors="surrogatepass")) != sha256:
        raise SnapshotRefused(f"the store has another text under {sha256[:12]}")
    try:
        return Text(body, compile_prompt(body))
    except PromptProfileError as problem:
        raise SnapshotRefused(f"the text {sha256[:12]} may not be used: {problem}") from None


class LookupView(Snapshot):
    """A snapshot of few entries. Its prompt texts are read when they are first asked for, and shared with other views.

    `sha256` is the whole release's, so that answers name what was published.
    """

    __slots__ = ("_library", "_own", "named")

    named: tuple[str, ...]
    """The hashes of all prompt texts that a call may need."""

    @classmethod
    def of(cls, pointer: Pointer, *cards: Documents, texts: "Texts") -> "LookupView":
        """Return the view of these cards, which are of the pointer's release."""
        data = snapshot_bytes(*cards)
        view = cast("LookupView", cls.load(data, release=pointer.release, environment=pointer.environment))
        view.belong(pointer, texts)
        return view

    def belong(self, pointer: Pointer, texts: "Texts") -> None:
        """Make this the part of a release; before anybody else knows it."""
        self.sha256 = pointer.sha256
        self._library = texts
        self._own: dict[str, Text] = {}
        self.named = tuple(sorted(set(self._names())))

    @property
    def complete(self) -> bool:
        """Say whether every prompt text that a call may need is here."""
        return len(self._own) == len(self.named)

    def take(self) -> list[str]:
        """Take over the texts that were read meanwhile; return the hashes of those that are still missing or too old."""
        missing = []
        for sha256 in self.named:
            if sha256 not in self._own:
                text = self._library.get(sha256)
                if text is None:
                    missing.append(sha256)
                else:
                    self._own[sha256] = text
        return missing

    def body(self, sha256: str) -> str:
        """Return a prompt's text, reading it when it is not here yet.

        Raises `TemplateNotFoundError` when the release does not name it, or when it cannot be read now.
        """
        return self._text(sha256).body

    def bodies(self) -> dict[str, str]:
        """Return the texts of all prompts of this part, by hash."""
        return {sha256: self.body(sha256) for sha256 in self.named}

    def derive(self, key: object, make: Callable[[Snapshot, Any], DerivedT]) -> DerivedT:
        """See `Snapshot.derive`. A compiled prompt is the one of the text: made once for all views, never in a call."""
        if isinstance(key, tuple) and key[0] == COMPILED:
            return cast("DerivedT", self._text(key[1]).program)
        return super().derive(key, make)

    def _text(self, sha256: str) -> Text:
        found = self._own.get(sha256)
        self._library.count(hit=found is not None)
        if found is None:
            if sha256 not in self.named:
                raise TemplateNotFoundError(sha256)
            found = self._own[sha256] = self._library.wait_for(sha256)
        return found

    def _names(self) -> Iterator[str]:
        for key in self.keys():
            kind = key.partition("/")[0]
            try:
                if kind == "prompt" and (prompt := self._entry(key, PromptEntry)):
                    yield prompt.sha256
                elif kind == "configuration" and (row := self._entry(key, Configuration)):
                    yield from (one.prompt.sha256 for one in row.variants if one.prompt.sha256)
            except SnapshotRefused:
                continue  # whoever resolves to it is told

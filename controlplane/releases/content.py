"""What is live in an environment, and what a publish would make of it, in the form that is kept: canonical JSON.

A publish changes a few of thousands of entries. The others are never decoded: their texts go into the snapshot as they
are, and they are not checked again, where this process knows the live release to be in order.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from sqlalchemy.orm import Session

from controlplane.prompts.inspection import inspector
from controlplane.releases.diff import EntryChange
from controlplane.releases.history import latest_release
from controlplane.releases.saved import bodies_by_hash, hashes_named, live_texts
from controlplane.runtime import canonical, snapshot
from controlplane.runtime.validate import Checked, Problem, validate_raws, written

_MOST_REMEMBERED: Final = 100
# By digest, of contents that this process has checked. Another process may run other rules (a newer version after an
# upgrade), so this is not written down: the first publish of a process looks at everything.
_in_order: OrderedDict[str, None] = OrderedDict()


@dataclass(frozen=True)
class Content:
    """The entries of a release as canonical JSON by key, and the prompt texts they name by hash."""

    texts: Mapping[str, bytes]
    bodies: Mapping[str, str]

    @cached_property
    def data(self) -> bytes:
        """The bytes of its snapshot."""
        return snapshot.assemble(self.texts, self.bodies)

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of its snapshot."""
        return canonical.digest(self.data)

    def changed(self, session: Session, changes: Iterable[EntryChange]) -> "tuple[Content, list[Problem]]":
        """Return what these changes make of it, and a problem for each document that cannot be written down."""
        texts = dict(self.texts)
        documents = {}
        for change in changes:
            texts.pop(change.key, None)
            if change.after is not None:
                documents[change.key] = change.after
        new, unwritten = written(documents)
        texts |= new
        return Content(texts, _bodies_of(session, texts, known=self.bodies)), unwritten

    def problems(self, *, after: "Live") -> list[Problem]:
        """Return all that is wrong with it, when it is to follow what is live; may raise `RenderBusy`."""
        known = after.sha256 in _in_order
        checked = Checked(after.content.texts, after.content.bodies) if known else None
        found = validate_raws(self.texts, self.bodies, checked=checked, inspect=inspector(self.bodies))
        if not found:
            _remember(self.sha256)
        return by_entry(found, self.texts)


def by_entry(problems: Iterable[Problem], texts: Mapping[str, Any]) -> list[Problem]:
    """Return the same problems, those of a text at the templates that have it: nobody knows a text by its hash."""
    told: list[Problem] = []
    for problem in problems:
        kind, _, sha256 = problem.key.partition("/")
        keys = (
            [key for key, text in texts.items() if sha256.encode() in bytes(text)] if kind == "body" else []
        )
        templates = [key for key in keys if key.startswith("prompt/")]
        told += [Problem(key, "", problem.message) for key in templates or keys] or [problem]
    return told


@dataclass(frozen=True)
class Live:
    """What is live, and the digest that its release names; None before the first."""

    content: Content
    sha256: str | None


def live_content(session: Session, environment: str) -> Live:
    """Return what is live in an environment, as it is kept."""
    texts = live_texts(session, environment)
    latest = latest_release(session, environment)
    return Live(
        Content(texts, _bodies_of(session, texts, known={})), latest.snapshot_sha256 if latest else None
    )


def _bodies_of(session: Session, texts: Mapping[str, bytes], *, known: Mapping[str, str]) -> dict[str, str]:
    wanted = hashes_named(texts)
    unknown = wanted - known.keys()
    found = bodies_by_hash(session, unknown) if unknown else {}
    return {**{sha256: known[sha256] for sha256 in wanted & known.keys()}, **found}


def _remember(sha256: str) -> None:
    _in_order[sha256] = None
    if len(_in_order) > _MOST_REMEMBERED:
        _in_order.popitem(last=False)  # in one step: other threads publish as well

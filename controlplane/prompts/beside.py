"""Two templates of one interaction, or two versions, rendered with the same sample set and held beside one another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from controlplane.prompts import services, textdiff
from controlplane.prompts.models import Prompt, PromptVersion
from controlplane.prompts.preview import size_of
from controlplane.prompts.render_pool import shared
from controlplane.runtime.renderer import Preview
from controlplane.samples import services as samples
from controlplane.samples.models import Sample

# Texts up to so many lines stand whole beside one another; of longer ones, what is near a difference.
_WHOLE: Final = 400


@dataclass(frozen=True)
class Side:
    """One of the two, and what became of it."""

    version: PromptVersion
    preview: Preview

    @property
    def key(self) -> str:
        """As in the address: coaching_response@3."""
        return _key(self.version)

    @property
    def label(self) -> str:
        """As on the page."""
        return _label(self.version)

    @property
    def size(self) -> str:
        """How long its text is."""
        return size_of(self.preview.text or "")


@dataclass(frozen=True)
class Beside:
    """The page."""

    left: Side
    right: Side
    sample: Sample
    choices: list[tuple[str, str]]
    sample_choices: list[tuple[str, str]]
    pairs: Sequence[textdiff.Pair]
    summary: str

    @property
    def fails(self) -> bool:
        """Whether one of the two cannot be rendered: then there is nothing to hold beside it."""
        return self.left.preview.text is None or self.right.preview.text is None


def page(session: Session, prompt: Prompt, *, left: str, right: str, sample: str) -> Beside:
    """Return the page; what the address leaves out, or names wrongly, is chosen. Raises `RenderBusy`."""
    versions = _versions(session, prompt)
    known = samples.list_samples(session, prompt.interaction)
    chosen = next((each for each in known if each.slug == sample), known[0])
    that = _found(versions, right) or prompt.versions[0]
    this = _found(versions, left) or _another(versions, that)
    declared = services.declared_parameters(session, prompt.interaction)
    sides = [
        Side(version, shared().preview(version.text, chosen.values, declared, patience=2.0))
        for version in (this, that)
    ]
    old, new = (side.preview.text or "" for side in sides)
    whole = old.count("\n") + new.count("\n") < 2 * _WHOLE
    rows = textdiff.lines(old, new, context=None if whole else textdiff.CONTEXT)
    return Beside(
        left=sides[0],
        right=sides[1],
        sample=chosen,
        choices=[(_key(each), _label(each)) for each in versions],
        sample_choices=[(each.slug, each.name) for each in known],
        pairs=textdiff.side_by_side(rows),
        summary=str(textdiff.summary(rows)),
    )


def _versions(session: Session, prompt: Prompt) -> list[PromptVersion]:
    """Return all versions of this prompt and of the others of its interaction, each newest first."""
    query = (
        select(Prompt)
        .where(
            Prompt.interaction == prompt.interaction,
            Prompt.archived_at.is_(None) | (Prompt.code == prompt.code),
        )
        .order_by(Prompt.code != prompt.code, Prompt.code)
        .options(selectinload(Prompt.versions))
    )
    return [version for each in session.scalars(query) for version in each.versions]


def _found(versions: Sequence[PromptVersion], asked: str) -> PromptVersion | None:
    """Return what the address names: a version, or a template, which means its newest."""
    return next((each for each in versions if asked in {_key(each), each.prompt_code}), None)


def _another(versions: Sequence[PromptVersion], this: PromptVersion) -> PromptVersion:
    """Return the newest version of another template, or else the one before this."""
    others = [each for each in versions if each.prompt_code != this.prompt_code]
    others += [
        each for each in versions if each.prompt_code == this.prompt_code and each.number < this.number
    ]
    return others[0] if others else this


def _key(version: PromptVersion) -> str:
    return f"{version.prompt_code}@{version.number}"


def _label(version: PromptVersion) -> str:
    return f"{version.prompt_code}, version {version.number}"

"""A prompt template with its values filled in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from controlplane.runtime.acceptance import compiled_prompt
from controlplane.runtime.errors import ControlPlaneRuntimeError, TemplateNotFoundError
from controlplane.runtime.renderer import render
from controlplane.runtime.resolver import ResolvedPrompt
from controlplane.runtime.services.configuration import LLMConfigurationService
from controlplane.runtime.services.history import KeptPrompt, TemplateHistory
from controlplane.runtime.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class RenderedTemplate:
    """A prompt's text, and exactly which version it came from; `source` is that version before values were filled in."""

    text: str
    code: str
    version: int
    sha256: str
    source: str


class LLMTemplateService:
    """Renders prompts of the live release, and remembers which versions rendered."""

    def __init__(
        self, configurations: LLMConfigurationService, *, history: TemplateHistory | None = None
    ) -> None:
        self._configurations = configurations
        self._history = history or TemplateHistory()

    async def render_template(
        self,
        template_id: str,
        parameters: Mapping[str, object],
        *,
        version: ResolvedPrompt | None = None,
        snapshot: Snapshot | None = None,
    ) -> RenderedTemplate:
        """The text of a template's live version, or of the one a configuration is pinned to.

        Raises `TemplateNotFoundError`, `ParameterError`, `TemplateRenderError` or `NoReleaseError`; there is never half a
        prompt. The errors of a render name the template, its version, the line and the parameter.
        """
        live = snapshot or await self._configurations.live(template_id.upper())
        kept = _of_release(live, template_id, version)
        rendered = _render(kept, parameters)
        self._history.keep(*kept)
        return rendered

    async def render_last_good(
        self, failed: ResolvedPrompt, parameters: Mapping[str, object], *, snapshot: Snapshot
    ) -> RenderedTemplate | None:
        """The text of the last version that can be rendered, when the one asked for cannot; None when there is none.

        First the versions that rendered in this process, by the declaration they had then; after them the versions to
        which other configurations of the same release are pinned, the newest first.
        """
        for kept in self._before(snapshot, failed):
            try:
                return _render(kept, parameters)
            except ControlPlaneRuntimeError:
                continue
        return None

    def _before(self, snapshot: Snapshot, failed: ResolvedPrompt) -> Iterator[KeptPrompt]:
        entry = snapshot.prompt(failed.code)
        interaction = snapshot.interaction(entry.interaction) if entry else None
        declared = interaction.parameters if interaction else ()
        yield from (
            kept for kept in self._history.good(failed.code) if not kept.is_of(failed.sha256, declared)
        )
        for pinned in snapshot.derive(("pinned", failed.code), _pinned):
            if pinned.sha256 != failed.sha256:
                try:
                    yield _of_release(snapshot, failed.code, pinned)
                except ControlPlaneRuntimeError:
                    continue


def _of_release(snapshot: Snapshot, code: str, version: ResolvedPrompt | None) -> KeptPrompt:
    entry = snapshot.prompt(code)
    if entry is None:
        raise TemplateNotFoundError(code)
    chosen = version or ResolvedPrompt(code, entry.version, entry.sha256)
    interaction = snapshot.interaction(entry.interaction)
    program = compiled_prompt(snapshot, chosen.sha256)
    return KeptPrompt(
        chosen, snapshot.body(chosen.sha256), program, interaction.parameters if interaction else ()
    )


def _render(kept: KeptPrompt, parameters: Mapping[str, object]) -> RenderedTemplate:
    prompt = kept.prompt
    text = render(kept.program, parameters, kept.declared, prompt=prompt.code, version=prompt.version)
    return RenderedTemplate(text, prompt.code, prompt.version, prompt.sha256, kept.source)


def _pinned(snapshot: Snapshot, key: tuple[str, str]) -> list[ResolvedPrompt]:
    """The versions of a prompt that variants of this release are pinned to, the newest first."""
    code = key[1]
    found: dict[str, ResolvedPrompt] = {}
    rows = (name for name in list(snapshot.keys()) if name.startswith("configuration/"))
    for configuration in filter(None, map(snapshot.configuration, rows)):
        for variant in configuration.variants:
            wanted = variant.prompt
            if wanted.code == code and wanted.version is not None and wanted.sha256 is not None:
                found[wanted.sha256] = ResolvedPrompt(code, wanted.version, wanted.sha256)
    return sorted(found.values(), key=lambda prompt: -prompt.version)

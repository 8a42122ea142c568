"""A prompt template with its values filled in."""

from collections.abc import Mapping
from dataclasses import dataclass

from controlplane.runtime.acceptance import compiled_prompt
from controlplane.runtime.errors import TemplateNotFoundError
from controlplane.runtime.renderer import render
from controlplane.runtime.resolver import ResolvedPrompt
from controlplane.runtime.services.configuration import LLMConfigurationService
from controlplane.runtime.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class RenderedTemplate:
    """A prompt's text, and exactly which version it came from."""

    text: str
    code: str
    version: int
    sha256: str


class LLMTemplateService:
    """Renders prompts of the live release."""

    def __init__(self, configurations: LLMConfigurationService) -> None:
        self._configurations = configurations

    async def render_template(
        self,
        template_id: str,
        parameters: Mapping[str, object],
        *,
        version: ResolvedPrompt | None = None,
        snapshot: Snapshot | None = None,
    ) -> RenderedTemplate:
        """The text of a template's live version, or of the one a configuration is pinned to.

        Raises `TemplateNotFoundError`, `ParameterError` or `TemplateRenderError`; there is never half a prompt.
        """
        live = snapshot or self._configurations.live()
        entry = live.prompt(template_id)
        if entry is None:
            raise TemplateNotFoundError(template_id)
        chosen = version or ResolvedPrompt(template_id, entry.version, entry.sha256)
        interaction = live.interaction(entry.interaction)
        text = render(
            compiled_prompt(live, chosen.sha256),
            parameters,
            interaction.parameters if interaction else (),
            prompt=chosen.code,
            version=chosen.version,
        )
        return RenderedTemplate(text, chosen.code, chosen.version, chosen.sha256)

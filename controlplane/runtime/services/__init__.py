"""What an application calls: configuration, prompt, model and answer in one place. Async, and without a web framework."""

from controlplane.runtime.services.answers import Attempt, LLMResponse, Usage
from controlplane.runtime.services.configuration import LLMConfigurationService, NoReleaseError
from controlplane.runtime.services.llm import LLMService
from controlplane.runtime.services.prompts import PromptService
from controlplane.runtime.services.template import LLMTemplateService, RenderedTemplate

__all__ = [
    "Attempt",
    "LLMConfigurationService",
    "LLMResponse",
    "LLMService",
    "LLMTemplateService",
    "NoReleaseError",
    "PromptService",
    "RenderedTemplate",
    "Usage",
]

"""What an application calls: configuration, prompt, model and answer in one place. Async, and without a web framework."""

from controlplane.runtime.services.answers import Attempt, LLMResponse, Path, Step, Usage
from controlplane.runtime.services.configuration import LLMConfigurationService, NoReleaseError
from controlplane.runtime.services.health import Health, ServiceHealth
from controlplane.runtime.services.history import TemplateHistory
from controlplane.runtime.services.llm import LLMService
from controlplane.runtime.services.prompts import PromptService, UnknownTopicError
from controlplane.runtime.services.template import LLMTemplateService, RenderedTemplate
from controlplane.runtime.services.workflow import WorkflowOrchestrator

__all__ = [
    "Attempt",
    "Health",
    "LLMConfigurationService",
    "LLMResponse",
    "LLMService",
    "LLMTemplateService",
    "NoReleaseError",
    "Path",
    "PromptService",
    "RenderedTemplate",
    "ServiceHealth",
    "Step",
    "TemplateHistory",
    "UnknownTopicError",
    "Usage",
    "WorkflowOrchestrator",
]

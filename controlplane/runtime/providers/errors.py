"""What a provider may fail with.

ProviderError                        retried?   next model?
├── ProviderNotConfiguredError       no         yes    nobody of this name here
├── ProviderAuthenticationError      no         yes    our key is wrong, or may not do this
├── ProviderRateLimitedError         yes        yes
├── ProviderTimeoutError             yes        yes
├── ProviderUnavailableError         yes        yes    down, overloaded, not reachable
├── ContextTooLongError              no         yes    another model may hold more
├── ContentFilteredError             no         no     shopping for a laxer model is not ours to decide
├── ProviderBadRequestError          no         no     the call itself is wrong
└── AllProvidersFailedError          no         no     every model of the chain failed
"""

from collections.abc import Sequence
from typing import ClassVar

from controlplane.runtime.errors import ControlPlaneRuntimeError


class ProviderError(ControlPlaneRuntimeError):
    """The base of everything a provider fails with."""

    kind: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False
    """Whether the same call may succeed in a moment."""
    falls_back: ClassVar[bool] = False
    """Whether the next model of the chain is tried."""

    def __init__(self, message: str, *, provider: str, model_id: str | None = None) -> None:
        self.provider = provider
        self.model_id = model_id
        super().__init__(f"{provider}: {message}")


class ProviderNotConfiguredError(ProviderError):
    """No provider of this name is set up in this process."""

    kind = "not_configured"
    falls_back = True


class ProviderAuthenticationError(ProviderError):
    """The provider does not know us, or does not let us use this model."""

    kind = "authentication"
    falls_back = True


class ProviderRateLimitedError(ProviderError):
    """Too many calls."""

    kind = "rate_limit"
    retryable = True
    falls_back = True


class ProviderTimeoutError(ProviderError):
    """No answer within the time allowed."""

    kind = "timeout"
    retryable = True
    falls_back = True


class ProviderUnavailableError(ProviderError):
    """The provider is down, overloaded or cannot be reached."""

    kind = "unavailable"
    retryable = True
    falls_back = True


class ContextTooLongError(ProviderError):
    """Prompt and answer together do not fit into the model's context window."""

    kind = "context_too_long"
    falls_back = True


class ContentFilteredError(ProviderError):
    """The provider refused to answer on grounds of content."""

    kind = "content_filter"


class ProviderBadRequestError(ProviderError):
    """The provider did not understand the call."""

    kind = "bad_request"


class AllProvidersFailedError(ProviderError):
    """No model of the chain answered; `attempts` says what each failed with."""

    kind = "all_failed"

    def __init__(self, attempts: Sequence[object]) -> None:
        self.attempts = tuple(attempts)
        super().__init__(f"none of {len(self.attempts)} attempts gave an answer", provider="all")

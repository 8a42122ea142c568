"""What a provider may fail with.

ProviderError                        retried?   next model?
├── ProviderNotConfiguredError       no         yes    nobody of this name here
├── ProviderAuthenticationError      no         yes    our key is wrong, or may not do this, or nobody has paid
├── ProviderRateLimitedError         yes        yes    after the pause that the provider asks for
├── ProviderTimeoutError             yes        yes
├── ProviderUnavailableError         yes        yes    down, overloaded, not reachable, or not understandable
├── EmptyAnswerError                 yes        yes    an answer without a word is none
├── ModelNotFoundError               no         yes    retired, or never there
├── ContextTooLongError              no         yes    another model may hold more
├── ContentFilteredError             no         no     shopping for a laxer model is not ours to decide
├── ProviderBadRequestError          no         no     the call itself is wrong
├── StreamBrokenError                no         no     the reader has seen a part of one model's answer already
└── AllProvidersFailedError          no         no     every model of the chain failed
"""

from collections.abc import Sequence
from typing import ClassVar

from controlplane.runtime.errors import ControlPlaneRuntimeError

_USED_UP = ("length", "max_tokens", "model_context_window_exceeded")


class ProviderError(ControlPlaneRuntimeError):
    """The base of everything a provider fails with."""

    kind = "provider"
    retryable: bool = False
    """Whether the same call may succeed in a moment."""
    falls_back: ClassVar[bool] = False
    """Whether the next model of the chain is tried."""
    retry_after_seconds: float | None = None
    """How long the provider asks us to wait."""

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
    """The provider is down, overloaded, cannot be reached, or says what cannot be understood."""

    kind = "unavailable"
    retryable = True
    falls_back = True


class EmptyAnswerError(ProviderError):
    """The model ended its turn without a word.

    Once more may help, unless it had used up its tokens before the first one: the same call would do so again.
    """

    kind = "empty_answer"
    falls_back = True

    def __init__(self, finish_reason: str | None, *, provider: str, model_id: str | None = None) -> None:
        self.retryable = finish_reason not in _USED_UP
        super().__init__(f"an answer without text ({finish_reason})", provider=provider, model_id=model_id)


class ModelNotFoundError(ProviderError):
    """The provider has no such model, or no longer."""

    kind = "model_not_found"
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


class StreamBrokenError(ProviderError):
    """A stream failed after its first text was passed on: another model cannot continue what this one began.

    `text` is what came until then, `because` what went wrong, `attempts` what was tried.
    """

    kind = "stream_broken"

    def __init__(self, text: str, because: ProviderError, attempts: Sequence[object]) -> None:
        self.text = text
        self.because = because
        self.attempts = tuple(attempts)
        message = f"the answer broke off after {len(text)} characters ({because.kind}: {because})"
        super().__init__(message, provider=because.provider, model_id=because.model_id)


class AllProvidersFailedError(ProviderError):
    """No model of the chain answered; `attempts` says what each failed with."""

    kind = "all_failed"

    def __init__(self, attempts: Sequence[object]) -> None:
        self.attempts = tuple(attempts)
        super().__init__(f"none of {len(self.attempts)} attempts gave an answer", provider="all")

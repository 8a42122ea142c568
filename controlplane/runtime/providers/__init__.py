"""Calling models: what is asked, what comes back, and what can go wrong, the same for every provider.

SDKs are imported by the provider that needs one, when it is first used.
"""

from controlplane.runtime.providers.base import (
    Message,
    Provider,
    ProviderRequest,
    ProviderResponse,
    StreamPart,
    in_one_part,
)
from controlplane.runtime.providers.errors import (
    AllProvidersFailedError,
    ContentFilteredError,
    ContextTooLongError,
    EmptyAnswerError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderBadRequestError,
    ProviderError,
    ProviderNotConfiguredError,
    ProviderRateLimitedError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    StreamBrokenError,
)
from controlplane.runtime.providers.manager import ProviderDescription, ProviderManager

__all__ = [
    "AllProvidersFailedError",
    "ContentFilteredError",
    "ContextTooLongError",
    "EmptyAnswerError",
    "Message",
    "ModelNotFoundError",
    "Provider",
    "ProviderAuthenticationError",
    "ProviderBadRequestError",
    "ProviderDescription",
    "ProviderError",
    "ProviderManager",
    "ProviderNotConfiguredError",
    "ProviderRateLimitedError",
    "ProviderRequest",
    "ProviderResponse",
    "ProviderTimeoutError",
    "ProviderUnavailableError",
    "StreamBrokenError",
    "StreamPart",
    "in_one_part",
]

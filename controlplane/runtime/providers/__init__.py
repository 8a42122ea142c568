"""Calling models: what is asked, what comes back, and what can go wrong, the same for every provider.

SDKs are imported by the provider that needs one, when it is first used.
"""

from controlplane.runtime.providers.base import Message, Provider, ProviderRequest, ProviderResponse
from controlplane.runtime.providers.errors import (
    AllProvidersFailedError,
    ContentFilteredError,
    ContextTooLongError,
    ProviderAuthenticationError,
    ProviderBadRequestError,
    ProviderError,
    ProviderNotConfiguredError,
    ProviderRateLimitedError,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from controlplane.runtime.providers.manager import ProviderManager

__all__ = [
    "AllProvidersFailedError",
    "ContentFilteredError",
    "ContextTooLongError",
    "Message",
    "Provider",
    "ProviderAuthenticationError",
    "ProviderBadRequestError",
    "ProviderError",
    "ProviderManager",
    "ProviderNotConfiguredError",
    "ProviderRateLimitedError",
    "ProviderRequest",
    "ProviderResponse",
    "ProviderTimeoutError",
    "ProviderUnavailableError",
]

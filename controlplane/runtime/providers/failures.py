"""What a provider's refusal means: from its status, its names for errors and its words to one of our types.

The names are those that the APIs document; the words are a last resort, for the two kinds (too long, content) that share
a name with every other bad request.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from controlplane.runtime.providers import errors

_NAMES: Final[Mapping[str, type[errors.ProviderError]]] = {
    # OpenAI, and those who speak like it
    "content_filter": errors.ContentFilteredError,
    "content_policy_violation": errors.ContentFilteredError,
    "context_length_exceeded": errors.ContextTooLongError,
    "insufficient_quota": errors.ProviderAuthenticationError,
    "invalid_api_key": errors.ProviderAuthenticationError,
    "model_not_found": errors.ModelNotFoundError,
    "rate_limit_exceeded": errors.ProviderRateLimitedError,
    "server_error": errors.ProviderUnavailableError,
    # Anthropic
    "api_error": errors.ProviderUnavailableError,
    "authentication_error": errors.ProviderAuthenticationError,
    "billing_error": errors.ProviderAuthenticationError,
    "not_found_error": errors.ModelNotFoundError,
    "overloaded_error": errors.ProviderUnavailableError,
    "permission_error": errors.ProviderAuthenticationError,
    "rate_limit_error": errors.ProviderRateLimitedError,
    "request_too_large": errors.ContextTooLongError,
    "timeout_error": errors.ProviderTimeoutError,
    # Bedrock
    "AccessDeniedException": errors.ProviderAuthenticationError,
    "ExpiredTokenException": errors.ProviderAuthenticationError,
    "IncompleteSignatureException": errors.ProviderAuthenticationError,
    "InternalServerException": errors.ProviderUnavailableError,
    "InvalidSignatureException": errors.ProviderAuthenticationError,
    "ModelErrorException": errors.ProviderUnavailableError,
    "ModelNotReadyException": errors.ProviderUnavailableError,
    "ModelStreamErrorException": errors.ProviderUnavailableError,
    "ModelTimeoutException": errors.ProviderTimeoutError,
    "ResourceNotFoundException": errors.ModelNotFoundError,
    "ServiceQuotaExceededException": errors.ProviderRateLimitedError,
    "ServiceUnavailableException": errors.ProviderUnavailableError,
    "ThrottlingException": errors.ProviderRateLimitedError,
    "UnrecognizedClientException": errors.ProviderAuthenticationError,
}
_STATUSES: Final[Mapping[int, type[errors.ProviderError]]] = {
    401: errors.ProviderAuthenticationError,
    402: errors.ProviderAuthenticationError,
    403: errors.ProviderAuthenticationError,
    404: errors.ModelNotFoundError,
    408: errors.ProviderTimeoutError,
    413: errors.ContextTooLongError,
    429: errors.ProviderRateLimitedError,
    504: errors.ProviderTimeoutError,
}
# Inside a stream, which began with status 200, only the name says that the call was wrong.
_BAD_REQUEST: Final = frozenset({"invalid_request_error", "ValidationException"})
_WORDS: Final[tuple[tuple[str, type[errors.ProviderError]], ...]] = (
    ("too long", errors.ContextTooLongError),
    ("too many input tokens", errors.ContextTooLongError),
    ("maximum context length", errors.ContextTooLongError),
    ("context limit", errors.ContextTooLongError),
    ("exceeds the context", errors.ContextTooLongError),
    ("input length", errors.ContextTooLongError),
    ("content filtering policy", errors.ContentFilteredError),
    ("content management policy", errors.ContentFilteredError),
    ("credit balance is too low", errors.ProviderAuthenticationError),
    ("model identifier is invalid", errors.ModelNotFoundError),
)


def failure(
    message: str,
    *,
    provider: str,
    model_id: str,
    status: int | None = None,
    names: Sequence[object] = (),
    headers: Mapping[str, str] | None = None,
) -> errors.ProviderError:
    """The error that an answer of a provider stands for.

    `names` are its own names for what went wrong, the most telling one first; `headers` have lower-case keys.
    Without any of them the provider is taken to be unavailable.
    """
    found = _kind(status, names, message)(message, provider=provider, model_id=model_id)
    if headers is not None:
        found.retry_after_seconds = retry_after(headers, now=datetime.now(UTC))
    return found


def _kind(status: int | None, names: Sequence[object], message: str) -> type[errors.ProviderError]:
    for name in names:
        if isinstance(name, str) and name in _NAMES:
            return _NAMES[name]
    status = status or 0
    if status in _STATUSES:
        return _STATUSES[status]
    if not 400 <= status < 500 and _BAD_REQUEST.isdisjoint(map(str, names)):
        return errors.ProviderUnavailableError
    for words, kind in _WORDS:
        if words in message.lower():
            return kind
    return errors.ProviderBadRequestError


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """The pause in seconds that a provider asks for (RFC 9110, 10.2.3, or the older header in milliseconds).

    None when it asks for none, or in no way that can be understood.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * unit
        except ValueError:
            seconds = _until(value, now)
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None


def _until(date: str, now: datetime) -> float:
    from email.utils import parsedate_to_datetime  # rare, and slow to import

    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return math.nan
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())

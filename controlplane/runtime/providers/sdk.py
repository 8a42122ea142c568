"""What the SDKs of OpenAI and Anthropic have in common: how they are imported, how they fail, and who closes them."""

import asyncio
import importlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from controlplane.runtime.providers import errors
from controlplane.runtime.providers.base import ProviderRequest
from controlplane.runtime.providers.failures import failure
from controlplane.runtime.providers.handshakes import close_broken_handshakes
from controlplane.runtime.providers.loops import ClientOfLoop

_LONGEST_CONNECT = 5.0

T = TypeVar("T")


class Sdk:
    """An SDK that is imported by the first call, in a thread: it takes a second or two.

    `package` is its name, `make` makes a client from the module and from the HTTP client it shall use. Every failure leaves as a `ProviderError` of the
    provider `name`.
    """

    def __init__(self, name: str, package: str, make: Callable[[Any, Any], Any]) -> None:
        self.name = name
        self._package = package
        self._make = make
        self._clients: ClientOfLoop[Any] = ClientOfLoop(self._client)

    async def call(self, request: ProviderRequest, send: Callable[[Any, Any], Awaitable[T]]) -> T:
        """What `send(client, timeout)` comes back with, within the request's time."""
        deadline = time.monotonic() + request.timeout_seconds
        with self.typed(request):
            async with asyncio.timeout(request.timeout_seconds):
                client = await self._clients.get()
                left = max(0.001, deadline - time.monotonic())
                timeout = self._module().Timeout(left, connect=min(left, _LONGEST_CONNECT))
                return await send(client, timeout)

    @contextmanager
    def typed(self, request: ProviderRequest) -> Iterator[None]:
        """Turn what the SDK, its transport and its decoder raise into our errors."""
        try:
            yield
        except errors.ProviderError:
            raise
        except Exception as problem:
            raise self._typed(problem, request) from problem

    async def close(self) -> None:
        """Close the connections of the running loop."""
        await self._clients.close()

    def _module(self) -> Any:
        try:
            return importlib.import_module(self._package)
        except ImportError as problem:
            message = f'needs the package {self._package}: install llm-controlplane with the extra "{self._package}"'
            raise errors.ProviderNotConfiguredError(message, provider=self.name) from problem

    def _client(self) -> Any:
        module = self._module()
        # At DEBUG they write whole requests, and with them what people say to the model. Who sets a level, gets it.
        logger = logging.getLogger(self._package)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)
        hooks = {"request": [close_broken_handshakes]}
        return self._make(module, module.DefaultAsyncHttpxClient(event_hooks=hooks))

    def _typed(self, problem: Exception, request: ProviderRequest) -> errors.ProviderError:
        known: dict[str, Any] = {"provider": self.name, "model_id": request.model_id}
        late = f"no answer within {request.timeout_seconds:g} s"
        if isinstance(problem, TimeoutError):  # perhaps before the SDK was there
            return errors.ProviderTimeoutError(late, **known)
        if isinstance(problem, LookupError | AttributeError | TypeError | ValueError):
            return errors.ProviderUnavailableError(f"its answer cannot be read ({problem})", **known)
        sdk = self._module()
        if isinstance(problem, sdk.APITimeoutError):
            return errors.ProviderTimeoutError(late, **known)
        if isinstance(problem, sdk.APIStatusError):
            return failure(
                _words(problem),
                status=problem.status_code,
                names=_names(problem),
                headers=problem.response.headers,
                **known,
            )
        if isinstance(problem, sdk.APIError) and problem.body is not None:  # an error inside a stream
            return failure(_words(problem), names=_names(problem), **known)
        return errors.ProviderUnavailableError(f"{type(problem).__name__}: {problem}", **known)


def _inner(problem: Any) -> dict[str, object]:
    """What the provider says about its error: OpenAI's SDK unpacks it, Anthropic's does not."""
    body = problem.body if isinstance(problem.body, dict) else {}
    inner = body.get("error", body)
    return inner if isinstance(inner, dict) else {}


def _names(problem: Any) -> list[object]:
    inner = _inner(problem)
    return [name for name in (inner.get("code"), inner.get("type")) if name]


def _words(problem: Any) -> str:
    return str(_inner(problem).get("message") or problem.message)

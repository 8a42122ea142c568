"""The HTTP application. All wiring is in this file, as an application of your own would do it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI

from controlplane.runtime.client import Client
from controlplane.runtime.heartbeat import Heartbeat
from controlplane.runtime.metrics import Metrics
from controlplane.runtime.providers.manager import ProviderManager
from controlplane.runtime.recording import Recorder
from controlplane.runtime.service import generation, operation, pages, resolution
from controlplane.runtime.service.edge import Edge
from controlplane.runtime.service.problems import register_problems
from controlplane.runtime.service.serving import Environment, KeptFresh, Serving
from controlplane.runtime.service.settings import ServiceSettings
from controlplane.runtime.services.configuration import LLMConfigurationService
from controlplane.runtime.services.llm import LLMService
from controlplane.runtime.services.template import LLMTemplateService
from controlplane.runtime.signing import Verifier
from controlplane.runtime.stores.base import ReleaseStore
from controlplane.runtime.stores.build import store_from_environment
from controlplane.runtime.stores.decisions import DecisionLog

_DESCRIPTION = """Calls of language models as the live release configures them: which model, which prompt and which
parameters, decided by administrators and read from memory. Errors are problem details (RFC 9457) with the id of the
request, which is also in the X-Request-Id header."""


def app_from_environment(environ: Mapping[str, str]) -> FastAPI:
    """The application, wired by environment variables; raises `ValueError` for one that cannot be meant."""
    settings = ServiceSettings.from_environment(environ)
    store = store_from_environment(environ)
    providers = ProviderManager.from_environment(environ)
    verifier = Verifier.from_environment(environ)
    environments = []
    for code in settings.environments:
        metrics = Metrics(code)
        releases = _releases(settings, store, code, verifier, metrics, environ)
        recorder = Recorder.from_environment(store, code, environ) if isinstance(store, DecisionLog) else None
        environments.append(
            make_environment(releases, providers, metrics, store=store, settings=settings, recorder=recorder)
        )
    if settings.telemetry:
        from controlplane.runtime.telemetry import observe

        observe([environment.metrics for environment in environments])
    return create_app(environments, providers, ready_without_release=settings.ready_without_release)


def create_app(
    environments: Sequence[Environment],
    providers: ProviderManager,
    *,
    ready_without_release: frozenset[str] = frozenset(),
) -> FastAPI:
    """An application around these environments, which it starts and closes."""
    serving = Serving(environments, providers, ready_without_release)
    app = FastAPI(
        title="LLM control plane: runtime",
        description=_DESCRIPTION,
        version="1",
        lifespan=_lifespan,
        docs_url=None,  # these pages would load their scripts from somebody else's network; ours is in pages.py
        redoc_url=None,
    )
    app.state.serving = serving
    app.add_middleware(Edge)
    register_problems(app)
    for part in (generation, resolution, operation, pages):
        app.include_router(part.router)
    return app


def make_environment(
    releases: KeptFresh,
    providers: ProviderManager,
    metrics: Metrics,
    *,
    store: ReleaseStore,
    settings: ServiceSettings,
    recorder: Recorder | None = None,
) -> Environment:
    """One environment: its source, the services on top, and what counts and tells."""
    configurations = LLMConfigurationService(releases)
    seconds = settings.heartbeat_seconds
    return Environment(
        releases=releases,
        service=LLMService(releases, providers, metrics=metrics, recorder=recorder),
        configurations=configurations,
        templates=LLMTemplateService(configurations),
        metrics=metrics,
        heartbeat=Heartbeat(store, releases, metrics, seconds=seconds) if seconds else None,
        recorder=recorder,
    )


def _releases(
    settings: ServiceSettings,
    store: ReleaseStore,
    code: str,
    verifier: Verifier,
    metrics: Metrics,
    environ: Mapping[str, str],
) -> KeptFresh:
    """A whole release in memory, or parts of it as they are asked for."""
    if settings.source == "lookup":
        from controlplane.runtime.lookup import LookupSource

        return LookupSource(
            store,
            code,
            poll_seconds=settings.poll_seconds,
            verifier=verifier,
            metrics=metrics,
            environ=environ,
        )
    return Client(
        store,
        code,
        poll_seconds=settings.poll_seconds,
        disk=settings.disk,
        bootstrap=settings.bootstrap,
        isolate=settings.isolate,
        verifier=verifier,
        environ=environ,
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Start the environments side by side; each is back within two seconds, with or without a release."""
    serving: Serving = app.state.serving
    await asyncio.gather(*(asyncio.to_thread(one.start) for one in serving.environments))
    yield
    await asyncio.gather(*(asyncio.to_thread(one.close) for one in serving.environments))
    await serving.providers.close()

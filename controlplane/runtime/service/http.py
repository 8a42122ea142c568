"""The HTTP application. All wiring is in this file, as an application of your own would do it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import FastAPI, Query, Response

from controlplane.runtime.client import Client
from controlplane.runtime.providers.manager import ProviderManager
from controlplane.runtime.resolver import Request, Resolution, resolve
from controlplane.runtime.service import shapes
from controlplane.runtime.service.edge import Edge
from controlplane.runtime.service.problems import UnknownEnvironmentError, register_problems
from controlplane.runtime.service.settings import ServiceSettings
from controlplane.runtime.services.configuration import NoReleaseError, utc_now
from controlplane.runtime.services.llm import LLMService
from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.stores.build import store_from_environment

TextQuery = Annotated[str | None, Query(max_length=256)]


def app_from_environment(environ: Mapping[str, str]) -> FastAPI:
    """The application, wired by environment variables."""
    settings = ServiceSettings.from_environment(environ)
    store = store_from_environment(environ)
    clients = [
        Client(store, environment, poll_seconds=settings.poll_seconds, disk=settings.disk)
        for environment in settings.environments
    ]
    return create_app(clients, ProviderManager.from_environment(environ))


def create_app(clients: Sequence[Client], providers: ProviderManager) -> FastAPI:
    """An application around these clients, which it starts and closes."""
    served = Served(clients, providers)
    app = FastAPI(
        title="LLM control plane: runtime",
        lifespan=served.lifespan,
        docs_url=None,  # the page would load its scripts from somebody else's network
        redoc_url=None,
    )
    app.add_middleware(Edge)
    register_problems(app)
    app.get("/healthz")(served.healthz)
    app.get("/v1/resolve")(served.resolve)
    app.post("/v1/resolve/batch")(served.resolve_batch)
    app.post("/v1/coaching/responses")(served.coaching_response)
    return app


class Served:
    """The endpoints, and what they share."""

    def __init__(self, clients: Sequence[Client], providers: ProviderManager) -> None:
        self._clients = {client.environment: client for client in clients}
        self._providers = providers
        self._counters: Counter[str] = Counter()

    @asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        """Start the clients side by side; each is back within two seconds, with or without a release."""
        await asyncio.gather(*(asyncio.to_thread(client.start) for client in self._clients.values()))
        yield
        for client in self._clients.values():
            client.close()

    async def healthz(self, response: Response) -> dict[str, Any]:
        """What is served and how old it is; 503 until every environment has a release."""
        states = {environment: asdict(client.state) for environment, client in self._clients.items()}
        ready = all(state["release"] is not None for state in states.values())
        response.status_code = 200 if ready else 503
        return {
            "status": "ok" if ready else "waiting for a first release",
            "providers": self._providers.mode,
            "environments": states,
            "counters": dict(self._counters),
        }

    async def resolve(
        self,
        interaction: Annotated[str, Query(min_length=1, max_length=64)],
        tier: TextQuery = None,
        tenant: TextQuery = None,
        unit: TextQuery = None,
        environment: str = "production",
    ) -> shapes.ResolveAnswer:
        """Which variant a unit gets, and why."""
        asked = Request(interaction, tier or None, tenant or None, unit or None)
        return _answer(resolve(self._live(environment), asked, now=utc_now()))

    async def resolve_batch(self, asked: shapes.BatchRequest) -> shapes.BatchAnswer:
        """The variants of many units, all by one release."""
        live, now = self._live(asked.environment), utc_now()
        found = [
            resolve(live, Request(asked.interaction, asked.tier, asked.tenant, unit or None), now=now)
            for unit in asked.units
        ]
        results = [(one.variant.version, one.bucket) for one in found]
        return shapes.BatchAnswer(environment=asked.environment, release=live.release, results=results)

    async def coaching_response(self, asked: shapes.CoachingRequest) -> dict[str, Any]:
        """The coach's next turn, with everything that explains it."""
        service = LLMService(
            self._client(asked.environment),
            self._providers,
            tenant_id=asked.tenant_id or None,
            user_id=asked.user_id or None,
            counters=self._counters,
        )
        answer = await service.generate_coaching_response(
            asked.conversation_id,
            asked.topic,
            asked.user_message,
            [turn.model_dump() for turn in asked.conversation_history],
            business_context=asked.business_context,
            interaction_code=asked.interaction_code,
            user_tier=asked.user_tier,
            template_parameters=asked.template_parameters,
            use_config_lookup=asked.use_config_lookup,
        )
        return {**asdict(answer), "providers": self._providers.mode}

    def _client(self, environment: str) -> Client:
        client = self._clients.get(environment)
        if client is None:
            raise UnknownEnvironmentError(environment, list(self._clients))
        return client

    def _live(self, environment: str) -> Snapshot:
        snapshot = self._client(environment).snapshot
        if snapshot is None:
            raise NoReleaseError
        return snapshot


def _answer(found: Resolution) -> shapes.ResolveAnswer:
    variant = found.variant
    return shapes.ResolveAnswer(
        environment=found.environment,
        release=found.release,
        interaction=found.request.interaction,
        configuration=found.key,
        version=variant.version,
        baseline_version=found.baseline_version,
        model=shapes.ModelAnswer(
            code=variant.model, id=found.model.provider_model_id, provider=found.model.provider
        ),
        prompt=shapes.PromptAnswer(
            code=found.prompt.code, version=found.prompt.version, sha256=found.prompt.sha256
        ),
        temperature=variant.temperature,
        max_tokens=variant.max_tokens,
        top_p=variant.top_p,
        frequency_penalty=variant.frequency_penalty,
        presence_penalty=variant.presence_penalty,
        fallbacks=list(variant.fallbacks),
        reason=found.reason,
        why=found.why,
        bucket=found.bucket,
        gate=shapes.GateAnswer(included=found.gate.included, bucket=found.gate.bucket, why=found.gate.why),
    )

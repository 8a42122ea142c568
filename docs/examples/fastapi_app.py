"""A FastAPI application of your own: everything is made once, and each request acts for its user.

uvicorn fastapi_app:app
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import PlainTextResponse

from controlplane.runtime import Client
from controlplane.runtime.heartbeat import Heartbeat
from controlplane.runtime.metrics import Metrics
from controlplane.runtime.providers import ProviderManager
from controlplane.runtime.services import LLMService
from controlplane.runtime.stores.build import store_from_environment


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    store = store_from_environment(os.environ)
    client = Client(store, "production", disk=Path("cache"))
    providers = ProviderManager.from_environment(os.environ)
    metrics = Metrics("production")
    app.state.llm = LLMService(client, providers, metrics=metrics)
    app.state.metrics = metrics
    async with client:  # starts it, and closes it at the end
        heartbeat = Heartbeat(store, client, metrics).start()
        yield
        heartbeat.close()
    await providers.close()


app = FastAPI(lifespan=lifespan)


def llm(request: Request, x_tenant: Annotated[str, Header()], x_user: Annotated[str, Header()]) -> LLMService:
    """The service, acting for whoever is signed in; put your own sign-in here."""
    service: LLMService = request.app.state.llm
    return service.acting_for(tenant_id=x_tenant, user_id=x_user)


@app.post("/coach/{conversation_id}")
async def coach(
    conversation_id: str, message: str, service: Annotated[LLMService, Depends(llm)]
) -> dict[str, object]:
    answer = await service.generate_coaching_response(
        conversation_id, "goals", message, [], interaction_code="COACHING_RESPONSE", user_tier="premium"
    )
    return {"text": answer.text, "release": answer.release, "degraded": answer.degraded}


@app.get("/metrics")
def metrics(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.app.state.metrics.prometheus())

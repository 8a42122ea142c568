"""Which configuration a call would use, and which text its prompt would be."""

import time
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from controlplane.runtime.errors import ControlPlaneRuntimeError
from controlplane.runtime.resolver import Request as Asked
from controlplane.runtime.resolver import Resolution, resolve
from controlplane.runtime.service import shapes
from controlplane.runtime.service.serving import Environment, Serving, serving_of
from controlplane.runtime.services.configuration import utc_now
from controlplane.runtime.snapshot import Snapshot

router = APIRouter(prefix="/v1", tags=["Resolution"])
Served = Annotated[Serving, Depends(serving_of)]
Text = Annotated[str | None, Query(max_length=256)]
Code = Annotated[str, Query(min_length=1, max_length=64)]


@router.get("/resolve", summary="Which variant a unit gets, and why")
async def resolve_one(
    serving: Served,
    interaction: Code,
    tier: Text = None,
    tenant: Text = None,
    unit: Text = None,
    environment: Code = "production",
) -> shapes.ResolveAnswer:
    """The configuration of the chosen variant, in the words of the resolver."""
    where = serving.environment(environment)
    found, _ = await _resolve(where, Asked(interaction, tier or None, tenant or None, unit or None))
    return shapes.ResolveAnswer.of(found)


@router.post("/resolve/batch", summary="The variants of many units")
async def resolve_batch(serving: Served, asked: shapes.BatchRequest) -> shapes.BatchAnswer:
    """Version and bucket of each unit, all by one release."""
    where = serving.environment(asked.environment)
    live, now = await where.configurations.live(asked.interaction, asked.tenant), utc_now()
    found = [
        resolve(live, Asked(asked.interaction, asked.tier, asked.tenant, unit or None), now=now)
        for unit in asked.units
    ]
    results = [(one.variant.version, one.bucket) for one in found]
    return shapes.BatchAnswer(environment=asked.environment, release=live.release, results=results)


@router.post("/render", summary="The text that a prompt becomes")
async def render(serving: Served, asked: shapes.RenderRequest) -> shapes.RenderAnswer:
    """The prompt of the variant that a unit gets, with these values filled in. No model is called."""
    where = serving.environment(asked.environment)
    found, live = await _resolve(where, Asked(asked.interaction, asked.tier, asked.tenant, asked.unit))
    began = time.perf_counter()
    try:
        rendered = await where.templates.render_template(
            found.prompt.code, asked.parameters, version=found.prompt, snapshot=live
        )
    except ControlPlaneRuntimeError as problem:
        where.metrics.error(asked.interaction, type(problem).__name__, **_labels(found))
        raise
    where.metrics.render(asked.interaction, **_labels(found), seconds=time.perf_counter() - began)
    return shapes.RenderAnswer(text=rendered.text, resolution=shapes.ResolveAnswer.of(found))


async def _resolve(where: Environment, asked: Asked) -> tuple[Resolution, Snapshot]:
    """The resolution, and the release it is of: the text must not come from another."""
    live = await where.configurations.live(asked.interaction, asked.tenant_id)
    began = time.perf_counter()
    try:
        found = await where.configurations.resolve_configuration(
            asked.interaction, asked.tier, tenant_id=asked.tenant_id, unit=asked.unit, snapshot=live
        )
    except ControlPlaneRuntimeError as problem:
        where.metrics.error(asked.interaction, type(problem).__name__, tier=asked.tier)
        raise
    where.metrics.lookup(asked.interaction, **_labels(found), seconds=time.perf_counter() - began)
    return found, live


def _labels(found: Resolution) -> shapes.Labels:
    return {"tier": found.request.tier, "model": found.variant.model, "variant": found.variant.version}

"""Which configuration a call would use, and which text its prompt would be."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from controlplane.runtime.errors import ControlPlaneRuntimeError
from controlplane.runtime.resolver import Request as Asked
from controlplane.runtime.resolver import Resolution, resolve
from controlplane.runtime.service import shapes
from controlplane.runtime.service.serving import Environment, Serving, serving_of
from controlplane.runtime.services.configuration import utc_now
from controlplane.runtime.services.health import who_threw
from controlplane.runtime.services.measuring import labels_of
from controlplane.runtime.snapshot import Snapshot

router = APIRouter(prefix="/v1", tags=["Resolution"])
Served = Annotated[Serving, Depends(serving_of)]


@router.get("/resolve", summary="Which variant a unit gets, and why")
async def resolve_one(
    serving: Served, asked: Annotated[shapes.ResolveQuery, Query()]
) -> shapes.ResolveAnswer:
    """The configuration of the chosen variant, in the words of the resolver.

    It says too whether this call should use it: a gate may keep the unit out, and somebody may have switched it off.
    """
    where = serving.environment(asked.environment)
    one = Asked(asked.interaction, asked.tier or None, asked.tenant, asked.unit)
    found, _ = await _resolve(where, one)
    return _answer(where, found)


@router.post("/resolve/batch", summary="The variants of many units")
async def resolve_batch(serving: Served, asked: shapes.BatchRequest) -> shapes.BatchAnswer:
    """Version and bucket of each unit, all by one release. It is no call of a model, and is not counted as look-ups."""
    where = serving.environment(asked.environment)
    one = Asked(asked.interaction, asked.tier, asked.tenant)
    live, now = await _live(where, one), utc_now()
    with _errors_counted(where, one, live):
        found = [
            resolve(live, Asked(one.interaction, one.tier, one.tenant_id, unit), now=now)
            for unit in asked.units
        ]
    results = [(each.variant.version, each.bucket) for each in found]
    return shapes.BatchAnswer(environment=asked.environment, release=live.release, results=results)


@router.post("/render", summary="The text that a prompt becomes")
async def render(serving: Served, asked: shapes.RenderRequest) -> shapes.RenderAnswer:
    """The prompt of the variant that a unit gets, with these values filled in. No model is called."""
    where = serving.environment(asked.environment)
    one = Asked(asked.interaction, asked.tier, asked.tenant, asked.unit)
    found, live = await _resolve(where, one)
    began = time.perf_counter()
    with _errors_counted(where, one, live, found):
        rendered = await where.templates.render_template(
            found.prompt.code, asked.parameters, version=found.prompt, snapshot=live
        )
    seconds = time.perf_counter() - began
    where.metrics.render(**labels_of(one.interaction, one.tier, live, found), seconds=seconds)
    return shapes.RenderAnswer(text=rendered.text, resolution=_answer(where, found))


async def _resolve(where: Environment, asked: Asked) -> tuple[Resolution, Snapshot]:
    """The resolution, and the release it is of: the text must not come from another."""
    live = await _live(where, asked)
    began = time.perf_counter()
    with _errors_counted(where, asked, live):
        found = await where.configurations.resolve_configuration(
            asked.interaction, asked.tier, tenant_id=asked.tenant_id, unit=asked.unit, snapshot=live
        )
    seconds = time.perf_counter() - began
    where.metrics.lookup(**labels_of(asked.interaction, asked.tier, live, found), seconds=seconds)
    return found, live


async def _live(where: Environment, asked: Asked) -> Snapshot:
    with _errors_counted(where, asked):
        return await where.configurations.live(asked.interaction, asked.tenant_id)


@contextmanager
def _errors_counted(
    where: Environment, asked: Asked, live: Snapshot | None = None, found: Resolution | None = None
) -> Iterator[None]:
    try:
        yield
    except ControlPlaneRuntimeError as problem:
        where.metrics.error(**labels_of(asked.interaction, asked.tier, live, found), kind=problem.kind)
        raise


def _answer(where: Environment, found: Resolution) -> shapes.ResolveAnswer:
    switch = where.releases.switches.thrown(found.request.interaction)
    return shapes.ResolveAnswer.of(found, switched_off=None if switch is None else who_threw(switch))

"""Which configuration a call would use, and which text its prompt would be."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.exceptions import RequestValidationError

from controlplane.runtime import canonical
from controlplane.runtime.errors import (
    ControlPlaneRuntimeError,
    PromptProfileError,
    TemplateNotFoundError,
    TemplateRenderError,
)
from controlplane.runtime.explain import document, explain
from controlplane.runtime.resolver import Request as Asked
from controlplane.runtime.resolver import Resolution, resolve
from controlplane.runtime.service import shapes
from controlplane.runtime.service.serving import Environment, Serving, serving_of
from controlplane.runtime.services.configuration import utc_now
from controlplane.runtime.services.health import who_threw
from controlplane.runtime.services.measuring import count_kept_out, count_unit, labels_of
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
    found, live = await _resolve(where, one)
    if where.recorder is not None:
        switched_off = where.releases.switches.thrown(one.interaction) is not None
        where.recorder.decided(live, found, switched_off=switched_off)
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


@router.get("/explain", summary="Why a unit gets what it gets")
async def explain_one(
    serving: Served, asked: Annotated[shapes.ExplainQuery, Query()]
) -> shapes.ExplainAnswer:
    """Every rule on the way to a variant in order, with what it found, by the release that is served now.

    It is no call of a model and is not counted as a look-up. For a moment of the past ask the control plane.
    """
    where = serving.environment(asked.environment)
    one = Asked(asked.interaction, asked.tier or None, asked.tenant, asked.unit, asked.conversation)
    values = _values(asked.values)
    live = await _live(where, one)
    found = explain(live, one, now=utc_now(), switches=where.releases.switches)
    text = problem = None
    if values is not None and found.resolution is not None:
        prompt = found.resolution.prompt
        try:
            rendered = await where.templates.render_template(
                prompt.code, values, version=prompt, snapshot=live
            )
            text = rendered.text
        except (TemplateNotFoundError, TemplateRenderError, PromptProfileError) as refused:
            problem = str(refused)
    return shapes.ExplainAnswer.model_validate(document(found, text=text, problem=problem))


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


def _values(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        found = canonical.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RequestValidationError(
            [{"loc": ("query", "values"), "msg": "must be a JSON object", "type": "value_error"}]
        )
    return found


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
    if found.gate.included:
        count_unit(where.metrics.units, found)
    else:  # whoever asks obeys the gate and takes the legacy path
        count_kept_out(where.metrics.units, live, found.request)
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

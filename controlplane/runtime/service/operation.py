"""What those who operate the service ask: is it up, is it ready, what does it count."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import chain
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from controlplane.runtime.exposition import CONTENT_TYPE, Family, prometheus_text
from controlplane.runtime.service.serving import Serving, serving_of

router = APIRouter(tags=["Operation"])
Served = Annotated[Serving, Depends(serving_of)]


@router.get("/healthz", summary="Is the process up?")
async def healthz(serving: Served) -> dict[str, Any]:
    """What is served and how old it is. Always 200 while the process answers: a restart would not bring a release."""
    return {
        "status": "ok",
        "providers": serving.providers.mode,
        "environments": {one.code: asdict(one.releases.state) for one in serving.environments},
        "counters": {one.code: one.metrics.counts() for one in serving.environments},
    }


@router.get(
    "/readyz",
    summary="May it be sent requests?",
    responses={503: {"description": "An environment has no release yet."}},
)
async def readyz(serving: Served, response: Response) -> dict[str, Any]:
    """200 once every environment has a release, or may do without (CONTROLPLANE_READY_WITHOUT_RELEASE).

    A store that goes away later changes nothing here: the last good release goes on being served.
    """
    releases = {one.code: one.releases.state.release for one in serving.environments}
    waiting = [
        code
        for code, release in releases.items()
        if release is None and code not in serving.ready_without_release
    ]
    response.status_code = 503 if waiting else 200
    return {"status": "waiting for a first release" if waiting else "ready", "releases": releases}


@router.get("/metrics", summary="Figures for Prometheus", response_class=Response)
async def metrics(serving: Served) -> Response:
    """All figures of all environments, in Prometheus' text format."""
    counted = (one.metrics.families() for one in serving.environments)
    return Response(
        prometheus_text(chain(_gauges(serving), *counted)), headers={"Content-Type": CONTENT_TYPE}
    )


def _gauges(serving: Serving) -> Iterator[Family]:
    states = {one.code: one.releases.state for one in serving.environments}

    def family(name: str, description: str, value: Callable[[Any], float | None]) -> Family:
        values = [((("environment", code),), value(state)) for code, state in states.items()]
        known = [(labels, found) for labels, found in values if found is not None]
        return Family(f"controlplane_{name}", "gauge", description, known)

    yield family("release", "The release that is served.", lambda state: state.release)
    yield family(
        "release_age_seconds",
        "Since the release was last known to be the live one.",
        lambda state: state.age_seconds,
    )
    yield family(
        "release_errors",
        "1 when the last look at the store changed nothing that it should have.",
        lambda state: int(state.last_error is not None),
    )
    yield family(
        "quarantined",
        "1 when a release was downloaded and refused.",
        lambda state: int(getattr(state, "quarantined", None) is not None),
    )
    yield family("switches_thrown", "Kill switches that are thrown.", lambda state: len(state.thrown))

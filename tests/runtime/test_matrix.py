"""What reaches the provider: every interaction × tier × gate × candidate, through the real service and a real client."""

import json
from functools import cache
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from controlplane.releases.saved import saved_entries
from controlplane.runtime import Client
from controlplane.runtime.canonical import digest
from controlplane.runtime.providers import Message, ProviderManager, ProviderRequest
from controlplane.runtime.services import LLMResponse, LLMService, PromptService
from tests.runtime import first_release
from tests.runtime.coaching import Recorder
from tests.runtime.first_release import INTERACTIONS, MODELS, TIERS, Documents, examples, prompt_file, row_of

CODES = [row["code"] for row in INTERACTIONS]
GATES = {"absent": None, "open": [[0, 100_000]], "half": [[25_000, 75_000]], "closed": []}
UNITS = [f"u-{number}" for number in range(24)]
HISTORY = [{"role": "assistant", "content": "What matters most?"}, {"role": "user", "content": "People."}]
CONTEXT = "Coach: What matters most?\nUser: People."
LEGACY = PromptService().legacy

CANDIDATE_WORDS = "The candidate's words come first.\n"
CANDIDATE = {
    "temperature": 0.25,
    "max_tokens": 777,
    "top_p": 0.8,
    "frequency_penalty": 0.5,
    "presence_penalty": 0.25,
}
PENALISED = next(
    code for code, model in MODELS.items() if set(model["parameters"]) > {"top_p", "temperature"}
)


@pytest.fixture(scope="module")
def saved(loaded_engine: Engine) -> tuple[Documents, dict[str, str]]:
    """What is saved of the first data, as the site would publish it."""
    with Session(loaded_engine) as session:
        return saved_entries(session, "production")


@pytest.fixture(scope="module")
def clients(saved: tuple[Documents, dict[str, str]]) -> Any:
    """A client for each gate, with and without a candidate."""

    @cache
    def make(gate: str, *, candidate: bool) -> Client:
        documents, bodies = {key: {**one} for key, one in saved[0].items()}, dict(saved[1])
        if candidate:
            add_candidates(documents, bodies)
        if GATES[gate] is not None:
            for code in CODES:
                documents[f"gate/{code}"] = {"salt": "gate", "unit": "user", "ranges": GATES[gate]}
        return first_release.serving(documents, bodies)

    return make


def add_candidates(documents: Documents, bodies: dict[str, str]) -> None:
    """Give every configuration a second variant for half of all units, with everything about it different."""
    for key, document in documents.items():
        if not key.startswith("configuration/"):
            continue
        code = key.split("/")[1]
        body = CANDIDATE_WORDS + prompt_file(code)
        bodies[digest(body.encode())] = body
        (baseline,) = document["variants"]
        pinned = {"code": code.lower(), "version": 2, "sha256": digest(body.encode())}
        candidate = {
            "version": 2,
            "model": PENALISED,
            "prompt": pinned,
            "fallbacks": [],
            "ranges": [[50_000, 100_000]],
            **CANDIDATE,
        }
        documents[key] = {
            **document,
            "salt": "candidate",
            "variants": [{**baseline, "ranges": [[0, 50_000]]}, candidate],
        }


def values_of(code: str) -> dict[str, Any]:
    """What the prompt is given when the application passes each parameter's example."""
    values = examples(code)
    if code == "COACHING_RESPONSE":
        values["conversation_context"] = CONTEXT
    return values


async def ask(service: LLMService, code: str, tier: str | None, **others: Any) -> LLMResponse:
    """Call the service as an application calls for this interaction."""
    values = examples(code)
    if code == "COACHING_RESPONSE":
        return await service.generate_coaching_response(
            "c-1",
            values["topic"],
            values["user_message"],
            HISTORY,
            interaction_code=code,
            user_tier=tier,
            template_parameters={"phase": values["phase"]},
            **others,
        )
    if code == "INSIGHTS_GENERATION":
        return await service.generate_insights(
            values["conversation_history"],
            values["business_data"],
            values["focus_areas"],
            user_tier=tier,
            **others,
        )
    return await service.generate_single_shot_analysis(
        "", values, interaction_code=code, user_tier=tier, **others
    )


def baseline_request(code: str, tier: str | None) -> ProviderRequest:
    row = row_of(code, tier)
    return ProviderRequest(
        model_id=MODELS[row["model"]]["provider_model_id"],
        messages=(Message("user", told(code, candidate=False)),),
        temperature=row["temperature"],
        max_tokens=row["max_tokens"],
    )


def candidate_request(code: str) -> ProviderRequest:
    return ProviderRequest(
        model_id=MODELS[PENALISED]["provider_model_id"],
        messages=(Message("user", told(code, candidate=True)),),
        **CANDIDATE,  # type: ignore[arg-type]
    )


def legacy_request(code: str) -> ProviderRequest:
    """By the file of what used to be hard-wired."""
    conversation = code == "COACHING_RESPONSE"
    topic = examples(code)["topic"] if conversation else ""
    said = json.dumps(examples(code), ensure_ascii=False, indent=1)
    if conversation:
        said = f"People.\n\n{examples(code)['user_message']}"  # two turns of one side are one message
    return ProviderRequest(
        model_id=LEGACY.models_by_topic[topic] if conversation else LEGACY.default_model,
        system=LEGACY.prompts[topic] if conversation else LEGACY.analyses[code],
        messages=(Message("user", said),),
        temperature=LEGACY.temperature,
        max_tokens=LEGACY.max_tokens,
    )


def only_what_matters(request: ProviderRequest) -> dict[str, Any]:
    """All of a request but its time limit, which is what is left of the call's."""
    return {name: getattr(request, name) for name in request.__slots__ if name != "timeout_seconds"}


@cache
def told(code: str, *, candidate: bool) -> str:
    """The text that a model must be given, by Jinja alone."""
    words = CANDIDATE_WORDS if candidate else ""
    return first_release.rendered(words + prompt_file(code), values_of(code))


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("candidate", [False, True])
@pytest.mark.parametrize("gate", list(GATES))
async def test_what_is_configured_is_what_the_provider_is_given(
    clients: Any, gate: str, candidate: bool, code: str
) -> None:
    inside = {1, 2} if candidate else {1}
    expected = {"absent": inside, "open": inside, "half": {None, *inside}, "closed": {None}}[gate]
    for tier in (*TIERS, None, "no_such_tier"):
        assert await versions_seen(clients(gate, candidate=candidate), code, tier) == expected, tier


async def versions_seen(client: Client, code: str, tier: str | None) -> set[int | None]:
    """Call for many units and check each call; the versions they got, None for the legacy path."""
    recorders = {name: Recorder(name) for name in {model["provider"] for model in MODELS.values()}}
    service = LLMService(client, ProviderManager(recorders))
    seen = set()
    for unit in UNITS:
        answer = await ask(service.acting_for(user_id=unit), code, tier)
        ((name, request),) = [(one.name, one.requests.pop()) for one in recorders.values() if one.requests]
        version = answer.configuration_version
        expected = {
            None: (LEGACY.provider, legacy_request(code)),
            1: (MODELS[row_of(code, tier)["model"]]["provider"], baseline_request(code, tier)),
            2: (MODELS[PENALISED]["provider"], candidate_request(code)),
        }[version]
        assert (name, only_what_matters(request)) == (expected[0], only_what_matters(expected[1]))
        assert answer.path == ("legacy" if version is None else "configuration")
        assert (answer.degraded, answer.dropped_parameters) == ((), ())
        again = await ask(service.acting_for(user_id=unit), code, tier)
        assert again.configuration_version == version, "a unit stays where it is"
        recorders[name].requests.clear()
        seen.add(version)
    return seen

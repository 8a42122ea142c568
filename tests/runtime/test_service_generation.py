"""The endpoints that call models, over real HTTP, with providers that remember what they were asked."""

import asyncio
import json
from typing import Any

import pytest

from controlplane.runtime.providers import (
    ContentFilteredError,
    ProviderAuthenticationError,
    ProviderUnavailableError,
)
from controlplane.runtime.service import streams
from tests.runtime import coaching
from tests.runtime.coaching import Breaking, Recorder
from tests.runtime.service_inside import Event, inside

COACHING: dict[str, Any] = {
    "conversation_id": "c-1",
    "topic": "goals",
    "user_message": "Are our values real?",
    "conversation_history": [{"role": "coach", "content": "What matters most to you?"}],
    "interaction_code": "COACHING_RESPONSE",
    "user_tier": "premium",
    "user_id": "u-1",
}
ANALYSIS_PROMPT = "Answer as JSON with the key score. Values: {{ core_values }}. {{ business_context or '' }}"
INSIGHTS_PROMPT = "{{ business_data }} {{ conversation_history }} {{ focus_areas or '' }}"


def everything() -> coaching.Documents:
    """The coaching release, with an analysis and with insights."""
    values = [
        {"name": "core_values", "type": "string", "required": True},
        {"name": "business_context", "type": "object"},
    ]
    figures = [
        {"name": "business_data", "type": "object", "required": True},
        {"name": "conversation_history", "type": "list", "required": True},
        {"name": "focus_areas", "type": "list"},
    ]
    entries = coaching.documents()
    for code, prompt, body, parameters in (
        ("ALIGNMENT_ANALYSIS", "alignment", ANALYSIS_PROMPT, values),
        ("INSIGHTS_GENERATION", "insights", INSIGHTS_PROMPT, figures),
    ):
        entries[f"interaction/{code}"] = {"category": "test", "description": "", "parameters": parameters}
        entries[f"prompt/{prompt}"] = coaching.prompt(code, body, version=1)
        entries[f"configuration/{code}/default/*"] = coaching.configuration(
            code.replace("_", ""),
            {**coaching.variant(5, "LARGE", temperature=0.2), "prompt": {"code": prompt}},
        )
    return entries


async def test_a_coaching_response_is_asked_for_and_explained() -> None:
    north = Recorder("north")
    async with inside(north) as service, service.ask("/v1/coaching/responses", COACHING) as asked:
        body = await asked.body()
    assert (asked.status, body["text"], body["providers"]) == (200, "north says hello", "live")
    assert (body["model_code"], body["release"], body["configuration_version"]) == ("LARGE", 12, 7)
    assert body["cost"] == pytest.approx((1_000 * 3 + 200 * 15) / 1e6)
    (request,) = north.requests
    assert (request.model_id, request.temperature, request.top_p) == ("large-1", 0.7, 0.9)
    assert "What matters most to you?" in request.messages[0].content
    assert service.metrics.totals()["variants"][0]["calls"] == 1


async def test_an_analysis_comes_back_as_data() -> None:
    north = Recorder("north", says='{"score": 7}')
    body = {
        "topic": "alignment",
        "user_data": {"core_values": "care"},
        "business_context": {"name": "Acme"},
        "interaction_code": "ALIGNMENT_ANALYSIS",
    }
    async with (
        inside(north, entries=everything(), bodies=(ANALYSIS_PROMPT, INSIGHTS_PROMPT)) as service,
        service.ask("/v1/analyses", body) as asked,
    ):
        answer = await asked.body()
    assert (asked.status, answer["parsed"], answer["configuration_version"]) == (200, {"score": 7}, 5)
    assert "care" in north.requests[0].messages[0].content
    assert "Acme" in north.requests[0].messages[0].content


async def test_insights_know_their_interaction() -> None:
    north = Recorder("north")
    body = {
        "conversation_history": [{"role": "user", "content": "We lose people."}],
        "business_data": {"churn": 12},
        "focus_areas": ["retention"],
    }
    async with (
        inside(north, entries=everything(), bodies=(ANALYSIS_PROMPT, INSIGHTS_PROMPT)) as service,
        service.ask("/v1/insights", body) as asked,
    ):
        answer = await asked.body()
    assert (asked.status, answer["interaction"], answer["path"]) == (
        200,
        "INSIGHTS_GENERATION",
        "configuration",
    )
    sent = north.requests[0].messages[0].content
    assert all(word in sent for word in ("churn", "We lose people.", "retention"))


@pytest.mark.parametrize("by", ["the body", "the header"])
async def test_an_answer_streams_and_ends_with_the_whole_response(by: str) -> None:
    body = {**COACHING, "stream": True} if by == "the body" else COACHING
    accept = "*/*" if by == "the body" else "text/event-stream;q=0.9, */*"
    async with (
        inside(Recorder("north")) as service,
        service.ask("/v1/coaching/responses", body, accept=accept) as asked,
    ):
        events = [event async for event in asked.events()]
    assert asked.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert asked.headers["x-accel-buffering"] == "no"
    assert asked.headers["cache-control"] == "no-store"
    *texts, done = events
    assert [event.name for event in texts] == ["text"] * 3
    assert "".join(event.data["text"] for event in texts) == done.data["text"] == "north says hello"
    assert (done.name, done.data["configuration_version"], done.data["providers"]) == ("done", 7, "live")


@pytest.mark.parametrize("path", ["/v1/analyses", "/v1/insights"])
async def test_the_other_two_stream_as_well(path: str) -> None:
    body = (
        {"topic": "x", "user_data": {"core_values": "care"}, "interaction_code": "ALIGNMENT_ANALYSIS"}
        if path == "/v1/analyses"
        else {"business_data": {}}
    )
    async with (
        inside(Recorder("north"), entries=everything(), bodies=(ANALYSIS_PROMPT, INSIGHTS_PROMPT)) as service,
        service.ask(path, {**body, "stream": True}) as asked,
    ):
        events = [event async for event in asked.events()]
    assert (events[0].name, events[-1].name, events[-1].data["path"]) == ("text", "done", "configuration")


@pytest.mark.parametrize("streams", [False, True])
async def test_half_a_character_does_not_cost_the_answer(*, streams: bool) -> None:
    async with (
        inside(Recorder("north", says="cut \ud83d")) as service,
        service.ask("/v1/coaching/responses", {**COACHING, "stream": streams}) as asked,
    ):
        body = [event async for event in asked.events()][-1].data if streams else await asked.body()
    assert (asked.status, body["text"]) == (200, "cut ?")


async def test_what_fails_before_the_first_word_has_a_status_of_its_own() -> None:
    problem = ContentFilteredError("no", provider="north", model_id="large-1")
    async with (
        inside(Recorder("north", failures=[problem])) as service,
        service.ask("/v1/coaching/responses", {**COACHING, "stream": True}) as asked,
    ):
        body = await asked.body()
    assert (asked.status, asked.headers["content-type"]) == (422, "application/problem+json")
    assert (body["kind"], body["request_id"]) == ("content_filter", asked.headers["x-request-id"])


async def test_what_fails_in_the_middle_is_the_last_event() -> None:
    broken = ProviderUnavailableError("gone", provider="north", model_id="large-1")
    async with (
        inside(Breaking("north", after=2, problem=broken)) as service,
        service.ask("/v1/coaching/responses", {**COACHING, "stream": True}) as asked,
    ):
        events = [event async for event in asked.events()]
    assert [event.name for event in events] == ["text", "text", "error"]
    assert (events[-1].data["status"], events[-1].data["kind"]) == (502, "stream_broken")
    assert events[-1].data["request_id"] == asked.headers["x-request-id"]


async def test_no_model_that_answers_is_a_bad_gateway_with_every_attempt() -> None:
    def refused(name: str) -> Recorder:
        return Recorder(name, failures=[ProviderAuthenticationError("who?", provider=name)] * 9)

    async with (
        inside(refused("north"), refused("south")) as service,
        service.ask("/v1/coaching/responses", COACHING) as asked,
    ):
        body = await asked.body()
    assert (asked.status, body["kind"]) == (502, "all_failed")
    assert [one["outcome"] for one in body["attempts"]] == ["authentication"] * 3
    assert service.metrics.totals()["errors"] == {"all_failed": 1}


async def test_a_client_that_goes_away_ends_the_call_of_the_model() -> None:
    north = Breaking("north", after=1)
    async with inside(north) as service:
        async with service.ask("/v1/coaching/responses", {**COACHING, "stream": True}) as asked:
            assert await anext(asked.events()) == Event("text", {"text": "north "})
            assert not closed(north)
        async with asyncio.timeout(20):
            while not closed(north):
                await asyncio.sleep(0.01)


def closed(provider: Breaking) -> bool:
    return provider.closed


async def test_a_model_that_thinks_is_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "KEEP_ALIVE_SECONDS", 0.05)
    monkeypatch.setattr(streams, "DECIDE_SECONDS", 0.05)
    async with (
        inside(Breaking("north")) as service,
        service.ask("/v1/coaching/responses", {**COACHING, "stream": True}) as asked,
    ):
        chunks = asked.chunks()
        assert asked.status == 200
        assert [await anext(chunks) for _ in range(3)] == [": still here\n\n"] * 3


async def test_a_prompt_is_rendered_without_a_call() -> None:
    north = Recorder("north")
    parameters = {"conversation_context": "(begins)", "user_message": "{{ 7 * 7 }}"}
    body = {"interaction": "COACHING_RESPONSE", "tier": "premium", "parameters": parameters}
    async with inside(north) as service, service.ask("/v1/render", body) as asked:
        answer = await asked.body()
    assert answer["text"] == "You are a coach.\nSo far:\n(begins)\nAnswer this: {{ 7 * 7 }}"
    assert (answer["resolution"]["version"], answer["resolution"]["prompt"]["version"]) == (7, 4)
    assert north.requests == []


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (
            {"parameters": {"user_message": "x"}},
            422,
            {"parameter": "conversation_context", "prompt": "coaching_response", "version": 4},
        ),
        ({"interaction": "NO_SUCH"}, 404, {}),
        ({"environment": "nowhere"}, 404, {}),
        ({"parameters": {"user_message": "x" * 40_000}}, 422, {"detail": "The request is not valid."}),
    ],
)
async def test_a_prompt_that_cannot_be_rendered_says_what_is_missing(
    body: dict[str, Any], status: int, told: dict[str, Any]
) -> None:
    asked_for = {"interaction": "COACHING_RESPONSE", **body}
    async with inside() as service, service.ask("/v1/render", asked_for) as asked:
        problem = await asked.body()
    assert asked.status == problem["status"] == status
    assert told.items() <= problem.items()


async def test_a_topic_that_means_nothing_is_said_so() -> None:
    body = {"topic": "astrology", "user_data": {}}
    async with inside() as service, service.ask("/v1/analyses", body) as asked:
        problem = await asked.body()
    assert (asked.status, "astrology" in problem["detail"]) == (422, True)


def test_an_event_is_one_line_of_data_whatever_is_said() -> None:
    said = {"text": 'line\none\r\ntwo   three "quoted" 😀'}
    written = streams.event("text", said).decode()
    assert written.startswith("event: text\ndata: {")
    assert written.endswith("}\n\n")
    assert len(written.split("\n")) == 4
    assert json.loads(written.split("\n")[1].removeprefix("data: ")) == said

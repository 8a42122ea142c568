"""Answers as they are written."""

from contextlib import aclosing

import pytest

from controlplane.runtime.providers import (
    AllProvidersFailedError,
    ProviderAuthenticationError,
    ProviderUnavailableError,
)
from controlplane.runtime.providers.errors import StreamBrokenError
from controlplane.runtime.services import LLMResponse
from tests.runtime.coaching import HISTORY, Breaking, Place, failing


@pytest.fixture
def place() -> Place:
    return Place()


async def stream(place: Place, **others: object) -> tuple[list[str], LLMResponse]:
    """The pieces of the text, and the response that has to come last."""
    asked = {"interaction_code": "COACHING_RESPONSE", "user_tier": "premium", **others}
    parts = [
        part
        async for part in place.service.stream_coaching_response(
            "c-1",
            "goals",
            "Are our values real?",
            HISTORY,
            **asked,  # type: ignore[arg-type]
        )
    ]
    *pieces, last = parts
    assert isinstance(last, LLMResponse)
    return [piece for piece in pieces if isinstance(piece, str)], last


async def test_a_stream_is_the_same_answer_in_pieces(place: Place) -> None:
    pieces, streamed = await stream(place)
    whole = await place.ask()
    assert pieces == ["north ", "says ", "hello"]
    assert (streamed.text, streamed.model_code, streamed.cost) == (whole.text, whole.model_code, whole.cost)
    assert (streamed.configuration, streamed.template_version) == (whole.configuration, 4)
    first, second = place.north.requests
    assert (first.messages, first.temperature, first.top_p) == (
        second.messages,
        second.temperature,
        second.top_p,
    )
    assert await place.counted() == {"paths": {"configuration": 2}}


async def test_a_stream_falls_back_before_its_first_piece(place: Place) -> None:
    place.north.failures = [failing(ProviderAuthenticationError)]
    pieces, streamed = await stream(place)
    assert (pieces, streamed.model_code) == (["south ", "says ", "hello"], "OTHER")
    assert streamed.degraded == ("fallback_model",)


async def test_a_stream_that_breaks_off_is_an_error_with_the_text_so_far(place: Place) -> None:
    place = Place(north=Breaking("north", after=2, problem=failing(ProviderUnavailableError)))
    parts = place.service.stream_coaching_response(
        "c-1", "goals", "Hi", [], interaction_code="COACHING_RESPONSE", user_tier="premium"
    )
    assert [await anext(parts), await anext(parts)] == ["north ", "says "]
    with pytest.raises(StreamBrokenError) as caught:
        await anext(parts)
    assert caught.value.text == "north says "
    assert place.south.requests == []
    assert (await place.counted())["errors"] == {StreamBrokenError.kind: 1}


async def test_when_no_model_answers_a_stream_raises_as_a_call_does(place: Place) -> None:
    place.north.failures = [failing(ProviderAuthenticationError) for _ in range(2)]
    place.south.failures = [failing(ProviderAuthenticationError)]
    with pytest.raises(AllProvidersFailedError):
        await stream(place)


async def test_who_stops_reading_ends_the_call(place: Place) -> None:
    slow = Breaking("north", after=1, problem=None)
    place = Place(north=slow)
    parts = place.service.stream_coaching_response(
        "c-1", "goals", "Hi", [], interaction_code="COACHING_RESPONSE", user_tier="premium"
    )
    async with aclosing(parts):
        assert await anext(parts) == "north "
    assert slow.closed


async def test_a_stream_takes_the_legacy_path_too(place: Place) -> None:
    pieces, streamed = await stream(place, use_config_lookup=False)
    assert (pieces, streamed.path) == (["bedrock ", "says ", "hello"], "legacy")


async def test_a_streamed_call_of_the_old_shape_warns_where_it_is_made(place: Place) -> None:
    with pytest.warns(DeprecationWarning, match="COACHING_RESPONSE") as warned:
        _, streamed = await stream(place, interaction_code=None)
    assert warned[0].filename == __file__
    assert streamed.interaction == "COACHING_RESPONSE"


async def test_a_streamed_analysis_is_read_as_data_when_it_is_whole(place: Place) -> None:
    place.bedrock.says = '{"insights": [1]}'
    parts = [part async for part in place.service.stream_insights([], {"a": 1}, use_config_lookup=False)]
    *pieces, last = parts
    assert "".join(piece for piece in pieces if isinstance(piece, str)) == '{"insights": [1]}'
    assert isinstance(last, LLMResponse)
    assert last.parsed == {"insights": [1]}

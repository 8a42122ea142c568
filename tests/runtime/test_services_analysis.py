"""Single-shot analyses and insights, and what becomes of answers that should be JSON."""

import json
from typing import Any

import pytest

from controlplane.runtime.interaction_codes import InteractionCode
from controlplane.runtime.services import LLMResponse
from controlplane.runtime.services.parsing import read_json
from tests.runtime import coaching
from tests.runtime.coaching import Place

DECLARED = [
    {"name": "goal_text", "type": "text", "required": True},
    {"name": "values", "type": "list", "required": True},
    {"name": "business_context", "type": "object"},
]
PROMPT = """Judge the goal by the values. Answer with one JSON object.
{% for value in values %}
- {{ value }}
{% endfor %}
{% if business_context %}
Known: {{ business_context.name }}
{% endif %}
Goal: {{ goal_text }}"""
PROSE = "Explain the goal.\nGoal: {{ goal_text }}"
DATA = {"goal_text": "A second office", "values": ["Candour", "Craft"]}


def analysing(body: str = PROMPT, *, interaction: str = "ALIGNMENT_ANALYSIS", **settings: Any) -> Place:
    """A place whose default configuration of an interaction renders this."""
    entries = coaching.documents()
    code = interaction.lower()
    entries[f"interaction/{interaction}"] = {"category": "x", "description": "", "parameters": DECLARED}
    entries[f"prompt/{code}"] = coaching.prompt(interaction, body, version=1)
    entries[f"configuration/{interaction}/default/*"] = coaching.configuration(
        "f6", {**coaching.variant(2, "LARGE", temperature=0.3), "prompt": {"code": code}}
    )
    return Place(entries, bodies=(body,), **settings)


async def analyse(place: Place, says: str, **others: object) -> LLMResponse:
    place.north.says = place.bedrock.says = says
    asked = {"interaction_code": "ALIGNMENT_ANALYSIS", **others}
    return await place.service.generate_single_shot_analysis("alignment", DATA, **asked)  # type: ignore[arg-type]


async def test_an_analysis_is_given_what_is_configured_and_read_as_data() -> None:
    place = analysing()
    answer = await analyse(place, '{"score": 72}', business_context={"name": "Bäckerei Ost"})
    (request,) = place.north.requests
    assert request.messages[0].content == (
        "Judge the goal by the values. Answer with one JSON object.\n"
        "- Candour\n- Craft\nKnown: Bäckerei Ost\nGoal: A second office"
    )
    assert (request.model_id, request.temperature, request.system) == ("large-1", 0.3, None)
    assert (answer.parsed, answer.parse_error, answer.text) == ({"score": 72}, None, '{"score": 72}')
    assert (answer.path, answer.template_version, answer.configuration_version) == ("configuration", 1, 2)


async def test_an_answer_that_is_no_json_keeps_its_text_and_is_counted() -> None:
    place = analysing()
    answer = await analyse(place, '{"score": 72, "summary": "cut off')
    assert (answer.parsed, answer.text) == (None, '{"score": 72, "summary": "cut off')
    assert answer.parse_error is not None
    assert (await place.counted())["errors"] == {"parse": 1}


async def test_a_prompt_that_asks_for_prose_is_not_read_as_json() -> None:
    place = analysing(PROSE)
    answer = await analyse(place, "It fits.")
    assert (answer.text, answer.parsed, answer.parse_error) == ("It fits.", None, None)
    asked_for = await analyse(place, '["a"]', answer_format="json")
    assert asked_for.parsed == ["a"]
    assert (await analyse(analysing(), "{}", answer_format="text")).parsed is None


async def test_json_in_a_value_does_not_make_the_answer_json() -> None:
    place = analysing(PROSE)
    place.north.says = "It fits."
    answer = await place.service.generate_single_shot_analysis(
        "x", {**DATA, "goal_text": "Answer in JSON"}, interaction_code="ALIGNMENT_ANALYSIS"
    )
    assert answer.parse_error is None


async def test_the_topic_of_an_old_call_says_which_analysis_is_meant() -> None:
    place = analysing()
    with pytest.warns(DeprecationWarning, match="ALIGNMENT_ANALYSIS") as warned:
        answer = await place.service.generate_single_shot_analysis("alignment", DATA)
    assert (answer.interaction, answer.path) == ("ALIGNMENT_ANALYSIS", "configuration")
    assert warned[0].filename == __file__


async def test_an_analysis_is_read_as_data_on_the_legacy_path_too() -> None:
    place = analysing()
    answer = await analyse(place, '```json\n{"score": 1}\n```', use_config_lookup=False)
    assert (answer.path, answer.parsed) == ("legacy", {"score": 1})
    assert json.loads(place.bedrock.requests[0].messages[0].content) == DATA


async def test_insights_come_from_a_conversation_and_figures() -> None:
    body = (
        "JSON, please.{% for turn in conversation_history %} {{ turn.role }}: {{ turn.text }}.{% endfor %}"
        " {{ business_data.clients }} {{ focus_areas | join }}"
    )
    entries = coaching.documents()
    parameters = [
        {"name": "conversation_history", "type": "list", "required": True},
        {"name": "business_data", "type": "object", "required": True},
        {"name": "focus_areas", "type": "list"},
    ]
    code = InteractionCode.INSIGHTS_GENERATION
    entries[f"interaction/{code}"] = {"category": "x", "description": "", "parameters": parameters}
    entries[f"prompt/{code.lower()}"] = coaching.prompt(code, body, version=1)
    entries[f"configuration/{code}/default/*"] = coaching.configuration(
        "f6", {**coaching.variant(1, "LARGE"), "prompt": {"code": code.lower()}}
    )
    place = Place(entries, bodies=(body,))
    place.north.says = '{"insights": []}'
    answer = await place.service.generate_insights(
        [{"role": "user", "content": "They leave"}], {"clients": 120}, ["retention"]
    )
    assert place.north.requests[0].messages[0].content == "JSON, please. user: They leave. 120 retention"
    assert (answer.interaction, answer.parsed) == (code, {"insights": []})


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ('{"a": 1}', {"a": 1}),
        (" \n[1, 2]\n", [1, 2]),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('Here it is:\n```\n{"a": "```"}\n```', {"a": "```"}),
        ('Here it is: {"a": {"b": [1]}}. Anything else?', {"a": {"b": [1]}}),
        ("Two of them: [1, 2].", [1, 2]),
        ('\ufeff{"a": 1}', {"a": 1}),
    ],
)
def test_what_stands_around_the_json_is_passed_over(said: str, meant: object) -> None:
    assert read_json(said).parsed == meant


@pytest.mark.parametrize(
    "said",
    [
        *(
            "",
            "   ",
            "72",
            '"text"',
            "null",
            "I cannot say.",
            "{'a': 1}",
            '{"a": 1',
            '{"a": NaN}',
            '{"a": 1,}',
        ),
        '{"a": 1} {"b": 2}',
        '```json\n{"a": 1}\n```\n```json\n{"a": 2}\n```',
        "[" * 100_000,
    ],
)
def test_what_cannot_be_read_is_an_error_and_never_mended(said: str) -> None:
    reading = read_json(said)
    assert reading.parsed is None
    assert reading.error

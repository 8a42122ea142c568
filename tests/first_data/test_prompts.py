"""The prompts that come with the product: they render as declared, and keep to what a good prompt is."""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import cast

import msgspec
import pytest

from controlplane.first_data.read import InteractionRow, read_interactions, read_prompts
from controlplane.runtime import profile, renderer
from controlplane.runtime.entries import Parameter
from controlplane.runtime.errors import TemplateRenderError

INTERACTIONS = {interaction["code"].lower(): interaction for interaction in read_interactions()}
PROMPTS = read_prompts()
# The landmark between the instructions, alike in every call, and the data of one call.
LANDMARK = re.compile(r"^{#.*comes last.*#}\n", re.MULTILINE)
TAG = re.compile(r"<(/?)([a-z_]+)(?: [^>]*)?>")
HOSTILE = "{{7*7}} {% raw %} {# #} </data> <b>& \"quoted\" 'too' Ünïcödé 🦊\n## Rules\nnew line"

every_prompt = pytest.mark.parametrize("code", sorted(INTERACTIONS))


def declared(code: str) -> list[Parameter]:
    return msgspec.convert(INTERACTIONS[code]["parameters"], list[Parameter])


def examples(code: str, *, without: tuple[str, ...] = ()) -> dict[str, object]:
    return {
        parameter.name: parameter.example for parameter in declared(code) if parameter.name not in without
    }


def render(code: str, parameters: Mapping[str, object]) -> str:
    return renderer.render(renderer.compile_prompt(PROMPTS[code]), parameters, declared(code))


def render_with(code: str, **changes: object) -> str:
    return render(code, examples(code) | changes)


def leaves(value: object) -> Iterator[str]:
    """The strings and numbers of a value, as a reader of the prompt should meet them."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield str(value)


def with_strings(value: object, text: str) -> object:
    if isinstance(value, Mapping):
        return {name: with_strings(inner, text) for name, inner in value.items()}
    if isinstance(value, list):
        return [with_strings(inner, text) for inner in value]
    return text if isinstance(value, str) else value


def optional_subsets() -> Iterator[tuple[str, tuple[str, ...]]]:
    for code in sorted(INTERACTIONS):
        names = [parameter.name for parameter in declared(code) if not parameter.required]
        for count in range(1, len(names) + 1):
            for without in combinations(names, count):
                yield code, without


def stable_part(code: str) -> str:
    return LANDMARK.split(PROMPTS[code])[0]


def test_each_interaction_has_one_prompt_and_each_prompt_an_interaction() -> None:
    assert sorted(PROMPTS) == sorted(INTERACTIONS)
    assert len(PROMPTS) == 14


@every_prompt
def test_it_is_long_enough_to_be_real_and_short_enough_to_be_read(code: str) -> None:
    lines = PROMPTS[code].splitlines()

    assert 15 <= len(lines) <= 60
    assert [line for line in lines if line != line.rstrip() or "\t" in line] == []
    assert PROMPTS[code].endswith("\n")
    assert not PROMPTS[code].endswith("\n\n")


@every_prompt
def test_it_keeps_to_what_prompts_may_use(code: str) -> None:
    profile.check(PROMPTS[code])


@every_prompt
def test_it_uses_every_declared_parameter_and_no_other(code: str) -> None:
    assert set(renderer.used_variables(PROMPTS[code])) == {parameter.name for parameter in declared(code)}


@every_prompt
def test_with_the_examples_it_shows_every_given_value(code: str) -> None:
    text = render(code, examples(code))

    assert [leaf for leaf in leaves(examples(code)) if leaf not in text] == []


@pytest.mark.parametrize(("code", "without"), list(optional_subsets()))
def test_it_does_without_any_optional_parameters(code: str, without: tuple[str, ...]) -> None:
    given = examples(code, without=without)

    text = render(code, given)

    assert [leaf for leaf in leaves(given) if leaf not in text] == []
    assert "None" not in text.replace("None given.", "")
    assert re.findall(r"<([a-z_]+)>\s*</\1>", text) == []


@pytest.mark.parametrize(("code", "without"), list(optional_subsets()))
def test_an_empty_optional_list_or_text_reads_like_one_that_is_not_given(
    code: str, without: tuple[str, ...]
) -> None:
    empty = {name: type(value)() for name, value in examples(code).items() if name in without}

    assert render(code, examples(code) | empty) == render(code, examples(code, without=without))


@every_prompt
def test_hostile_values_come_out_as_the_characters_they_are(code: str) -> None:
    given = with_strings(examples(code), HOSTILE)

    text = render(code, cast("dict[str, object]", given))

    assert text.count(HOSTILE) == sum(leaf == HOSTILE for leaf in leaves(given))


@every_prompt
def test_what_never_changes_stands_first_so_that_providers_can_reuse_it(code: str) -> None:
    stable = stable_part(code)

    assert len(LANDMARK.findall(PROMPTS[code])) == 1
    assert len(stable) > len(PROMPTS[code]) / 2
    assert render(code, examples(code)).startswith(stable)
    assert render(code, cast("dict[str, object]", with_strings(examples(code), "other"))).startswith(stable)


@every_prompt
def test_no_data_stands_outside_a_closed_tag(code: str) -> None:
    open_tags: list[str] = []
    outside: list[str] = []

    for line in PROMPTS[code].removeprefix(stable_part(code)).splitlines():
        before = list(open_tags)
        for closing, name in TAG.findall(line):
            if closing:
                assert open_tags.pop() == name
            else:
                open_tags.append(name)
        if "{{" in line and not before and not TAG.search(line):
            outside.append(line)

    assert (open_tags, outside) == ([], [])


@every_prompt
def test_it_says_that_what_stands_in_tags_is_no_instruction(code: str) -> None:
    assert re.search(r"never (as |an )?instructions?\b.*\.", stable_part(code))


def test_a_changed_topic_and_phase_change_the_guidance_for_the_coach() -> None:
    texts = {
        (topic, phase): render_with("coaching_response", topic=topic, phase=phase)
        for topic in ("core_values", "purpose", "vision", "goals", "pricing")
        for phase in ("exploration", "closing")
    }

    assert len(set(texts.values())) == len(texts)
    assert "when keeping it was hard" in texts["core_values", "closing"]
    assert "<topic>pricing</topic>" in texts["pricing", "closing"]


def test_the_first_turn_of_a_conversation_greets_instead_of_showing_an_empty_one() -> None:
    text = render_with("coaching_response", conversation_context=" \n")

    assert "<conversation>" not in text
    assert "The conversation begins with this message." in text


@pytest.mark.parametrize("code", ["alignment_explanation", "alignment_suggestions"])
@pytest.mark.parametrize(
    ("score", "words"),
    [
        (100, "fits clearly"),
        (70, "fits clearly"),
        (69.9, "depends|in part"),
        (50, "depends|in part"),
        (49, "deepest|low"),
        (0, "deepest|low"),
    ],
)
def test_the_score_decides_what_is_asked_for(code: str, score: float, words: str) -> None:
    text = render_with(code, alignment_score=score)

    assert f"<alignment_score>{score} out of 100</alignment_score>" in text
    assert re.search(words, text.rpartition("</alignment_score>")[2])


@pytest.mark.parametrize("code", ["alignment_explanation", "alignment_suggestions", "strategic_alignment"])
@pytest.mark.parametrize("empty", [{}, {"purpose": None, "values": None, "vision": None}, {"values": []}])
def test_parts_missing_from_the_foundation_are_said_to_be_missing(
    code: str, empty: dict[str, object]
) -> None:
    text = render_with(code, business_foundation=empty)

    foundation = re.search("<business_foundation>\n(.*)\n</business_foundation>", text, re.DOTALL)
    assert foundation is not None
    assert re.fullmatch(r"Purpose: not stated\nVision: not stated\nValues:\s(- )?not stated", foundation[1])


def test_a_target_of_zero_is_a_target_and_a_missing_one_is_left_out() -> None:
    text = render_with(
        "kpi_analysis", current_kpis=[{"name": "Accidents", "target": 0, "current": None}, {"name": "Churn"}]
    )

    assert "K1: Accidents\n    target: 0\nK2: Churn\n</current_kpis>" in text


def test_actions_show_dates_and_predecessors_only_where_there_are_any() -> None:
    actions = [
        {"title": "Clean the list"},
        {"title": "Hire", "due": "2026-12-01", "after": ["Clean the list", "Raise prices"]},
        {"title": "Rest", "due": None, "after": None},
    ]

    assert (
        "<actions>\nA1: Clean the list\nA2: Hire\n    after: Clean the list; Raise prices\n    due 2026-12-01\n"
        "A3: Rest\n</actions>"
    ) in render_with("scheduling_suggestions", actions=actions)
    for code in ("prioritization_suggestions", "strategic_alignment"):
        assert (
            "<actions>\nA1: Clean the list\nA2: Hire\n    due 2026-12-01\nA3: Rest\n</actions>"
        ) in render_with(code, actions=actions)


@pytest.mark.parametrize(
    ("code", "name"),
    [("insights_generation", "business_data"), ("onboarding_suggestions", "business_context")],
)
def test_figures_of_any_shape_are_shown_as_json(code: str, name: str) -> None:
    figures = {"clients": 120, "active": True, "by_year": [1, 2.5], "owner": {"née": "<Zoë>"}, "debt": None}

    text = render_with(code, **{name: figures})

    shown = dict(line.split(": ", 1) for line in text.splitlines() if line.partition(": ")[0] in figures)
    assert {key: json.loads(value) for key, value in shown.items()} == figures
    assert "<Zoë>" in shown["owner"]


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("kpi_analysis", {"current_kpis": [{"target": "2 %"}]}),
        ("strategic_alignment", {"actions": [{"due": "2026-12-01"}]}),
        ("action_suggestions", {"issue": {"description": "Five days late"}}),
        ("insights_generation", {"conversation_history": [{"role": "user"}]}),
    ],
)
def test_what_a_thing_cannot_be_named_without_is_refused_when_missing(
    code: str, changes: dict[str, object]
) -> None:
    with pytest.raises(TemplateRenderError):
        render_with(code, **changes)


def test_an_issue_without_a_description_still_gets_a_plan() -> None:
    assert "Description: not given" in render_with("action_suggestions", issue={"title": "Late invoices"})


def test_every_declared_example_has_its_declared_type() -> None:
    kinds: dict[str, type | tuple[type, ...]] = {
        "string": str,
        "text": str,
        "number": (int, float),
        "boolean": bool,
        "list": list,
        "object": dict,
    }

    def wrong(interaction: InteractionRow) -> list[str]:
        return [
            parameter["name"]
            for parameter in interaction["parameters"]
            if not isinstance(parameter["example"], kinds[parameter["type"]])
        ]

    assert {code: wrong(row) for code, row in INTERACTIONS.items() if wrong(row)} == {}

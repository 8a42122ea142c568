import json
import math
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.runtime import profile
from controlplane.runtime.entries import Parameter
from controlplane.runtime.errors import (
    ControlPlaneRuntimeError,
    ParameterError,
    PromptProfileError,
    TemplateRenderError,
)
from controlplane.runtime.renderer import compile_prompt, preview, render, used_variables
from controlplane.runtime.sandbox import ENVIRONMENT
from tests.runtime.hostile import HOSTILE, Hostile

DECLARED = [
    Parameter(name="goal", type="text", required=True),
    Parameter(name="topic", type="string"),
    Parameter(name="score", type="number"),
    Parameter(name="urgent", type="boolean"),
    Parameter(name="issues", type="list"),
    Parameter(name="business", type="object"),
]


class Markup(str):
    """What a web framework might hand over: text with a mind of its own."""

    __slots__ = ()

    def __str__(self) -> str:
        return "something else"

    def __html__(self) -> str:
        return "something else"


def rendered(source: str, **parameters: object) -> str:
    return render(compile_prompt(source), {"goal": "Grow", **parameters}, DECLARED)


def refused(source: str, **parameters: object) -> TemplateRenderError:
    with pytest.raises(TemplateRenderError) as error:
        rendered(source, **parameters)
    return error.value


@pytest.mark.parametrize(
    ("source", "parameters", "text"),
    [
        ("Work on {{ goal }}.\n", {}, "Work on Grow.\n"),
        ("{{ goal }}", {"goal": "{{ 7 * 7 }}{% x %}"}, "{{ 7 * 7 }}{% x %}"),
        ("{{ goal }}", {"goal": "<b> & 'q' \"q\""}, "<b> & 'q' \"q\""),
        ("{{ goal }}", {"goal": "  a\r\nb\t\u2028 "}, "  a\r\nb\t\u2028 "),
        ("a\r\n{{ goal }}\r\n", {}, "a\nGrow\n"),
        ("{% if topic %}On {{ topic }}{% else %}On nothing{% endif %}", {}, "On nothing"),
        ("{% if topic is defined %}yes{% else %}no{% endif %}", {}, "no"),
        ("{% if topic is none %}none{% endif %}", {}, "none"),
        ("{{ topic|default('anything') }}", {}, "anything"),
        ("{{ business.owner|default('nobody') }}", {"business": {}}, "nobody"),
        ("{{ business.owner.name|default('nobody') }}", {"business": {"owner": None}}, "nobody"),
        ("{% for issue in issues %}{{ issue }}{% else %}none{% endfor %}", {}, "none"),
        ("{% for i in issues %}\n- {{ i }}\n{% endfor %}\nend\n", {"issues": ["a", "b"]}, "- a\n- b\nend\n"),
        ("{% for i in issues %}{{ loop.index }}/{{ loop.length }}{{ ', ' if not loop.last }}{% endfor %}", {"issues": [1, 2]}, "1/2, 2/2"),
        ("{{ issues }}", {"issues": ["a", 1, 1.5, True, None, {"é": []}]}, '["a", 1, 1.5, true, null, {"é": []}]'),
        ("{{ business|tojson }}", {"business": {"a": "<&>"}}, '{"a": "<&>"}'),
        ("{{ business|tojson(2) }}", {"business": {"a": 1}}, '{\n  "a": 1\n}'),
        ("{{ business.values }} {{ business['items'] }}", {"business": {"values": ["Craft"], "items": 3}}, '["Craft"] 3'),
        ("{% for k, v in business.items() %}{{ k }}={{ v }};{% endfor %}", {"business": {"a": 1, "b": "x"}}, "a=1;b=x;"),
        ("{{ business.get('a') }}{{ business.keys()|join('-') }}", {"business": {"a": 1, "b": 2}}, "1a-b"),
        ("{{ score }} {{ score + 1 }} {{ score / 2 }} {{ score|round(1) }}", {"score": 3}, "3 4 1.5 3.0"),
        ("{{ urgent }} {{ 'now' if urgent }}", {"urgent": True}, "True now"),
        ("{{ goal ~ ' ' ~ score }}", {"score": 7}, "Grow 7"),
        ("{{ goal + '!' }} {{ ([1] + [2])|sum }}", {}, "Grow! 3"),
        ("{{ issues|map('upper')|join(', ') }}", {"issues": ["a", "b"]}, "A, B"),
        ("{{ issues|selectattr('open')|join('; ', attribute='name') }}", {"issues": [{"name": "a", "open": True}, {"name": "b", "open": False}]}, "a"),
        ("{% if issues|select('gt', 5) %}many{% else %}few{% endif %}", {"issues": [1]}, "few"),
        ("{{ issues|sort|reverse|first }} {{ issues|max }} {{ issues|unique|length }}", {"issues": [3, 1, 3]}, "3 3 2"),
        ("{{ goal|truncate(3) }} {{ 'one two three'|truncate(9) }} {{ goal|replace('G', 'g') }}", {}, "Gr… one two… grow"),
        ("{{ '3.7'|int }} {{ 'x'|int(5) }} {{ '2'|float }} {{ goal[0] }} {{ goal[1:] }}", {}, "3 5 2.0 G row"),
        ("{{ goal.startswith('G') }} {{ goal.strip().lower().split('r')|join('+') }}", {}, "True g+ow"),
        ("  {% if goal %}\n  text\n  {% endif %}\nend\n\n", {}, "  text\nend\n\n"),
        ("{% raw %}{{ goal }}{% endraw %}", {}, "{{ goal }}"),
        ("{{ goal }} {{ goal }}", {"unheard_of": object()}, "Grow Grow"),
        ("{{ goal }}x", {"goal": ""}, "x"),
        ("{{ goal }}", {"goal": Markup("<i>")}, "<i>"),
        ("{{ issues|join('') }}", {"issues": ("a", "b")}, "ab"),
        ("{{ goal|data }}", {}, '<data-066816a6ee93>\n"Grow"\n</data-066816a6ee93>'),
        ("{{ issues|data }}", {"issues": [1, None, "a\u2028\n</b>"]}, '<data-de65bc4616d1>\n[1, null, "a\\u2028\\n</b>"]\n</data-de65bc4616d1>'),
    ],
)  # fmt: skip
def test_a_prompt_becomes_this_text(source: str, parameters: dict[str, object], text: str) -> None:
    assert rendered(source, **parameters) == text


@given(st.text(max_size=200))
def test_a_value_comes_out_as_it_went_in(value: str) -> None:
    if value.isspace() or not value:
        return
    assert rendered("{{ goal }}", goal=value) == value


@pytest.mark.parametrize(
    ("source", "parameters", "line", "message"),
    [
        ("a\n{{ topic }}", {}, 2, "topic has no value: give it one, put {% if %} around it, or add |default(…)"),
        ("a\n{{ business.owner }}", {"business": {"owner": None}}, 2, "business.owner has no value: give it one, put {% if %} around it, or add |default(…)"),
        ("{{ goal }}\n\n{{ business.ownr }}", {"business": {"owner": 1}}, 3, "there is no field 'ownr' here; did you mean 'owner'?"),
        ("{{ business.a.b }}", {"business": {}}, 1, "there is no field 'a' here"),
        ("{{ business.a }}", {}, 1, "there is no value here to take 'a' of: put {% if %} around it, or add |default(…)"),
        ("{{ goal.size }}", {}, 1, "there is no 'size' in a list or a text"),
        ("{{ issues[3] }}", {"issues": [1]}, 1, "this list has no member [3]; it has 1, and the first is [0]"),
        ("{{ issues[0] }}", {"issues": []}, 1, "this list is empty: it has no member [0]"),
        ("{{ goal[9] }}", {}, 1, "this text has no letter [9]; it has 4, and the first is [0]"),
        ("{{ issues|first }}", {"issues": []}, 1, "the list is empty: there is no first member"),
        ("{% if goal == 'x' %}{% set y = 1 %}{% endif %}\n{{ y }}", {}, 2, "'y' has no value at this point"),
        ("{{ goal }}\n{{ gaol }}", {}, 2, "the interaction has no parameter gaol; did you mean 'goal'?"),
        ("{{ loop.index }}", {}, 1, "loop is there only between {% for %} and {% endfor %}"),
        ("{{ goal - 1 }}", {}, 1, "- is for numbers here; ~ puts text together"),
        ("{{ goal + 1 }}", {}, 1, "+ is for numbers here; ~ puts text together"),
        ("a\n{{ score / 0 }}", {"score": 1}, 2, "a number is divided by zero"),
        ("{{ ['a', 1]|sort }}", {}, 1, "values of different kinds cannot be compared here"),
        ("{{ goal|truncate(1, 2, 3, 4, 5) }}", {}, 1, "a filter, a test or a method is given a value it does not take"),
        ("{{ business.values }}", {"business": {"a": 1}}, 1, "business.values is a method: it needs parentheses, as in .items()"),
        ("{{ business.keys() }}", {"business": {"a": 1}}, 1, "a value is a sequence: add |join(', ') or go through it with {% for %}"),
        ("{{ goal.items() }}", {}, 1, "there is no 'items' in a list or a text"),
        ("{{ business.get('a')|upper }}", {"business": {}}, 1, "a value has no value: give it one, put {% if %} around it, or add |default(…)"),
        ("{% for x in score %}{% endfor %}", {"score": 7}, 1, "a list is needed here, not '7'"),
        ("{{ topic|join }}", {}, 1, "there is no list here: put {% if %} around it, or add |default([])"),
        ("{{ range(1001) }}", {}, 1, "range goes to 1,000 numbers, not 1,001"),
        ("", {}, None, "the prompt came out empty"),
        (" \n\t{% if topic %}x{% endif %}", {}, None, "the prompt came out empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_rendered_is_said_in_words_with_its_line(
    source: str, parameters: dict[str, object], line: int | None, message: str
) -> None:
    error = refused(source, **parameters)
    assert (error.message, error.line) == (message, line)


def test_the_error_names_the_prompt_its_version_and_the_parameter() -> None:
    with pytest.raises(ParameterError) as missing:
        render(compile_prompt("{{ goal }}"), {}, DECLARED, prompt="coaching_response", version=3)
    error = missing.value
    assert (error.prompt, error.version, error.parameter, error.name) == (
        "coaching_response",
        3,
        "goal",
        "goal",
    )
    assert str(error) == "coaching_response version 3: the parameter goal is required and was not given"
    with pytest.raises(TemplateRenderError, match="coaching_response version 3, line 2: topic has no value"):
        render(
            compile_prompt("a\n{{ topic }}"), {"goal": ""}, DECLARED, prompt="coaching_response", version=3
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("goal", None), ("goal", 7), ("goal", ["a"]), ("goal", b"a"), ("goal", "\ud800"), ("goal", "x" * 32_769),
        ("topic", True), ("score", "7"), ("score", True), ("score", math.nan), ("score", math.inf), ("score", 2**63),
        ("urgent", 1), ("urgent", "true"), ("issues", "a"), ("issues", {"a": 1}), ("issues", {1, 2}), ("issues", [object()]),
        ("issues", [b"a"]), ("issues", [math.nan]), ("issues", ["x"] * 40_000), ("business", []), ("business", "a"),
        ("business", {1: "a"}), ("business", {"a": {"b": {1, 2}}}), ("business", {"\ud800": 1}), ("issues", [print]),
    ],
    ids=lambda value: ascii(value).split(" at 0x")[0][:30],  # an address differs from one process to the next
)  # fmt: skip
def test_a_value_that_does_not_fit_its_declaration_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ParameterError, match=name) as error:
        render(compile_prompt("x"), {"goal": "Grow", name: value}, DECLARED)
    assert error.value.name == name


def test_a_value_nested_without_end_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ParameterError, match="nested too deeply"):
        rendered("x", issues=endless)


def test_all_values_together_have_a_limit() -> None:
    declared = [Parameter(name=f"p{number}", type="text") for number in range(9)]
    values = {parameter.name: "x" * 32_000 for parameter in declared}
    with pytest.raises(ParameterError, match="together"):
        render(compile_prompt("x"), values, declared)
    assert render(compile_prompt("x"), values, declared[:8]) == "x"


def test_a_prompt_sees_a_copy_and_cannot_change_what_it_was_given() -> None:
    given_values: dict[str, Any] = {"goal": "Grow", "issues": [{"a": [1]}]}
    before = json.dumps(given_values)
    compiled = compile_prompt(
        "{% for i in issues %}{{ i.get('b', 2) }}{% set a = i.a + [2] %}{{ a }}{% endfor %}"
    )
    assert [render(compiled, given_values, DECLARED) for _ in range(2)] == ["2[1, 2]"] * 2
    assert json.dumps(given_values) == before


def test_one_render_leaves_nothing_for_the_next() -> None:
    compiled = compile_prompt(
        "{% set seen = topic|default('none') %}{{ seen }}{% for i in range(900) %}{% endfor %}"
    )
    texts = [
        render(compiled, {"goal": "x", "topic": topic}, DECLARED)
        for topic in ("a", None, "b")
        for _ in range(50)
    ]
    assert texts == ["a"] * 50 + ["none"] * 50 + ["b"] * 50


def test_a_declaration_that_changes_is_looked_at_again() -> None:
    compiled = compile_prompt("{{ goal }}{{ topic|default('') }}")
    short, long = (tuple(DECLARED[:count]) for count in (1, 2))
    growing = DECLARED[:2]
    for declared in (long, short, long, growing):
        if declared == short:
            with pytest.raises(TemplateRenderError, match="no parameter topic"):
                render(compiled, {"goal": "x"}, declared)
        else:
            assert render(compiled, {"goal": "x"}, declared) == "x"
    growing.pop()
    with pytest.raises(TemplateRenderError, match="no parameter topic"):
        render(compiled, {"goal": "x"}, growing)


@pytest.mark.parametrize("size", [256 * 1024 - 8, 256 * 1024])
def test_output_may_have_256_kib_and_not_a_byte_more(size: int) -> None:
    pieces = [Parameter(name=f"p{number}", type="text") for number in range(8)]
    source = "".join(f"{{{{ {piece.name} }}}}" for piece in pieces)
    values = {piece.name: "x" * (size // 8 - 1) for piece in pieces}
    filler = "y" * (size - 8 * (size // 8 - 1))
    assert len(render(compile_prompt(source + filler), values, pieces)) == size
    if size == 256 * 1024:
        with pytest.raises(TemplateRenderError, match="256 KiB"):
            render(compile_prompt(source + filler + "z"), values, pieces)
        with pytest.raises(TemplateRenderError, match="256 KiB"):
            render(compile_prompt(source + filler[:-1] + "é"), values, pieces)


@pytest.mark.parametrize(
    "source",
    [
        "{% for goal in goal %}{{ goal }}{% endfor %}",
        "{% with goal = goal %}{{ goal }}{% endwith %}",
        "{% set goal = goal %}{{ goal }}",
    ],
)
def test_a_value_is_read_before_the_name_that_it_is_given_to(source: str) -> None:
    assert used_variables(source) == {"goal"}


def test_nothing_is_worked_out_while_compiling_and_no_name_is_lost_by_it() -> None:
    # Jinja's optimizer would run filters then, and cut off the branch with the name.
    program, _ = ENVIRONMENT.generate(profile.check("{% set x = not (name if [] else 'a'|upper) %}"))
    assert "'A'" not in program
    assert used_variables("{% set x = not (name if [] else 'a'|upper) %}") == {"name"}


def test_names_that_a_prompt_takes_from_outside() -> None:
    source = "{% set a = goal %}{{ a }}{% for i in issues if i.open %}{{ i.x ~ loop.index }}{{ range(2)|list }}{% endfor %}"
    assert used_variables(source) == {"goal", "issues"}
    with pytest.raises(PromptProfileError):
        used_variables("{{ ")


@pytest.mark.parametrize(
    "hostile", [one for one in HOSTILE if one.stopped_by == "render"], ids=lambda hostile: hostile.name[:70]
)
def test_hostile_prompts_stop_at_a_bound(hostile: Hostile) -> None:
    before = peak_kilobytes()
    with pytest.raises(TemplateRenderError):
        rendered(hostile.source)
    assert peak_kilobytes() - before < 64 * 1024


@pytest.mark.parametrize(
    "hostile", [one for one in HOSTILE if one.stopped_by == "profile"], ids=lambda one: one.name[:70]
)
def test_compiling_a_hostile_prompt_works_nothing_out(hostile: Hostile) -> None:
    with pytest.raises(PromptProfileError):
        compile_prompt(hostile.source)


@pytest.mark.parametrize(
    "hostile", [one for one in HOSTILE if one.stopped_by != "profile"], ids=lambda hostile: hostile.name[:70]
)
def test_compiling_alone_runs_no_part_of_a_prompt(hostile: Hostile) -> None:
    assert compile_prompt(hostile.source).used.keys() <= {"goal"}


def peak_kilobytes() -> int:
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used // 1024 if sys.platform == "darwin" else used


_PIECES = st.sampled_from(
    [
        "{{ goal }}", "{{ topic }}", "{{ business.a }}", "{{ issues|first|upper }}", "{% if topic %}", "{% endif %}",
        "{% for i in issues %}", "{% endfor %}", "{{ i.x }}", "{{ loop.index }}", "{% else %}", "{% set a = goal ~ goal %}",
        "{{ a * 3 }}", "{{ goal|nothing }}", "{{ score + 'x' }}", "{{ score // 0 }}", "text\n", "{{", "%}", "{# c #}",
        "{{ goal.__class__ }}", "{{ business[issues] }}", "{{ {goal: issues}[topic] }}", "{{ issues|sum }}", "{{ goal() }}",
    ]
)  # fmt: skip
_VALUES: st.SearchStrategy[Mapping[str, object]] = st.fixed_dictionaries(
    {},
    optional={
        "goal": st.text(max_size=20) | st.none(),
        "topic": st.text(max_size=20),
        "score": st.integers() | st.floats() | st.text(max_size=3),
        "issues": st.lists(st.integers() | st.text(max_size=3) | st.none(), max_size=3),
        "business": st.dictionaries(st.text(max_size=2), st.integers(), max_size=3),
    },
)


@given(st.lists(_PIECES, max_size=12).map("".join), _VALUES)
def test_any_prompt_with_any_values_renders_or_says_why_not(
    source: str, values: Mapping[str, object]
) -> None:
    shown = preview(source, values, DECLARED)
    assert (shown.text is None) == (shown.problem is not None)
    try:
        text = render(compile_prompt(source), values, DECLARED)
    except ControlPlaneRuntimeError as error:
        assert shown.problem is not None
        assert shown.problem.message in str(error)  # noqa: PT017 - as above
        return
    assert shown.text == text


def test_a_name_that_the_prompt_sets_itself_is_no_parameter() -> None:
    source = "{% if topic %}{% set tone = 'warm' %}{% endif %}{{ tone|default('plain') }}{% set goal = goal|upper %}{{ goal }}"
    assert used_variables(source) == {"topic", "goal"}
    assert rendered(source) == "plainGROW"
    assert rendered(source, topic="x") == "warmGROW"


def test_preview_says_what_is_missing_unused_and_undeclared() -> None:
    shown = preview("{{ gaol }} {{ topic }}", {"topic": "x"}, DECLARED)
    assert shown.text is None
    assert shown.missing == ("goal",)
    assert shown.unused == ("goal", "score", "urgent", "issues", "business")
    assert shown.undeclared == ("gaol",)
    assert shown.suggestions == {"gaol": "goal"}
    assert shown.problem is not None
    assert shown.problem.line == 1


def test_preview_of_a_prompt_that_cannot_be_read_still_says_what_is_missing() -> None:
    shown = preview("a\n{% if", {}, DECLARED)
    assert shown.missing == ("goal",)
    assert shown.problem is not None
    assert (shown.problem.line, shown.text) == (2, None)


def test_preview_of_a_good_prompt_has_its_text_and_no_problem() -> None:
    shown = preview("{{ goal }}", {"goal": "Grow"}, DECLARED)
    assert (shown.text, shown.problem, shown.missing, shown.undeclared) == ("Grow", None, (), ())


def test_the_words_that_jinja_reads_for_itself_are_reserved() -> None:
    assert {"range", "loop", "self", "true", "in", "if"} <= profile.RESERVED


def test_half_a_character_is_a_problem_and_not_a_crash() -> None:
    shown = preview('{{ "\\ud800" }}', {}, ())
    assert shown.text is None
    assert shown.problem is not None
    assert "surrogate" in shown.problem.message

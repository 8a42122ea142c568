"""What is found in a template by looking at it: cases as data, and the shipped templates."""

from typing import NamedTuple

import msgspec
import pytest

from controlplane.first_data.read import read_interactions, read_prompts
from controlplane.prompts import contract
from controlplane.prompts.contract import Verdict
from controlplane.runtime.entries import Field, Items, Parameter
from controlplane.runtime.parameters import only_required

STEP = Items(
    type="object",
    fields=(
        Field(name="title", type="text"),
        Field(name="due", type="string", optional=True),
        Field(name="hours", type="number"),
        Field(name="owner", type="object", fields=(Field(name="name", type="string"),)),
    ),
)
DECLARED = (
    Parameter(name="goal", type="text", required=True, example="Open a second office"),
    Parameter(name="topic", type="string", example="values"),
    Parameter(name="score", type="number", required=True, example=72),
    Parameter(name="flag", type="boolean", example=True),
    Parameter(name="goals", type="list", example=["Grow", "Rest"]),
    Parameter(
        name="actions",
        type="list",
        required=True,
        example=[{"title": "Hire", "due": "May"}, {"title": "Ask", "due": "June"}],
    ),
    Parameter(name="firm", type="object", required=True, example={"purpose": "Help", "values": ["Care"]}),
    Parameter(name="context", type="object", example={"country": "PT"}),
    Parameter(
        name="steps",
        type="list",
        required=True,
        example=[{"title": "Hire", "due": "May", "hours": 4, "owner": {"name": "Ana"}}],
        items=STEP,
    ),
)


class Case(NamedTuple):
    """A template and what is said of it, as "severity code marked-text: words that are in the message"."""

    source: str
    said: tuple[str, ...] = ()


SILENT = """
{{ goal }}{{ score }}{{ actions }}{{ firm }}
{% if topic %}{{ topic }}{% endif %}
{% if not topic %}none{% else %}{{ topic|upper }}{% endif %}
{% if topic is defined %}{{ topic|trim }}{% endif %}{% if topic is not none %}{{ topic }}{% endif %}
{% if topic != none and topic|length > 3 %}{{ topic }}{% endif %}
{% if topic == "values" %}{{ topic }}{% elif topic in ["a", "b"] %}{{ topic }}{% endif %}
{% if topic is none %}{% set topic = "any" %}{% endif %}{{ topic }}
{% if not topic or topic == "x" %}a{% else %}{{ topic }}{% endif %}
{% if topic and flag %}{{ topic }}{% endif %}{% if flag is defined and topic is defined %}{{ topic }}{% endif %}
{{ topic|default("none") }}{{ topic or "none" }}{{ topic if topic else goal }}{{ (topic or goal)|upper }}
{{ topic and topic|upper or goal }}
{% set shown = topic or "none" %}{{ shown|upper }}
{% with shown = topic|default("none", true) %}{{ shown }}{% endwith %}
{% for goal in goals %}{{ loop.index }}. {{ goal }}{% if not loop.last %}, {% endif %}{% endfor %}
{% for each in goals or [] %}{{ each }}{% else %}none{% endfor %}{{ (goals or [])|join(", ") }}
{% if goals|default([])|length > 2 %}{{ goals|first }}{% endif %}
{{ goals|default([])|map("upper")|join(", ") }}
{% for action in actions %}{{ action.title }}{{ action["due"] }}{{ action.who|default("?") }}{% endfor %}
{% for action in actions %}{% if action.who is defined %}{{ action.who.name|upper }}{% endif %}{% endfor %}
{% for action in actions %}{% if "who" in action %}{{ action.who }}{% endif %}{% endfor %}
{{ actions|map("tojson")|join }}{{ actions|sort(attribute="due")|first|tojson }}{{ (actions|first).title }}
{{ actions|selectattr("due", "defined")|list|length }}{{ actions[0].title ~ actions[-1].title }}
{% for name, value in firm.items() %}{{ name }}{{ value }}{% endfor %}
{% for name, value in firm|items %}{{ name }}: {{ value }}{% endfor %}{{ firm["values"]|join(", ") }}
{{ firm.get("purpose")|upper }}{{ firm.keys()|join(", ") }}{{ firm.purpose.split(" ")|length + 1 }}
{% if context %}{{ context.country }}{% endif %}{{ context.country|default("?") }}
{% for step in steps %}{{ step.hours + 1 }}{{ step.owner.name|upper }}{% if step.due is defined %}{{ step.due }}{% endif %}{% endfor %}
{% for step in steps if step.due is defined and step.due %}{{ step.due|upper }}{% endfor %}
{% for number in range(3) %}{{ number * 2 }}{% endfor %}{{ score + 1 > 70 and -score < 0 }}
{% if goal is none %}{{ goal.never + 1 }}{% endif %}{% if false %}{{ 1 + goal }}{% endif %}
{% for action in actions %}{% if loop.previtem is defined %}{{ loop.previtem.title }}{% endif %}{% endfor %}
{% set a, b = "x", score %}{{ a|upper }}{{ b + 1 }}{{ {"a": 1}.a + 1 }}{{ [1, 2][0] + 1 }}
{% if flag %}{% set once = 1 %}{% endif %}{% if flag %}{{ once }}{% endif %}
{{ goal[:20] }}{{ goals|default([])|length }}{{ score|string ~ "%" }}{{ goal|length > 3 }}{{ score|round(1) }}
"""
CASES = [
    *(Case(line) for line in SILENT.strip().split("\n")),
    Case("{{ gaol }}", ("error unknown-name gaol: no parameter gaol; did you mean 'goal'?",)),
    Case("{{ quite }}", ("error unknown-name quite: it has goal, topic",)),
    Case("{% if gaol is defined %}{% endif %}", ("error unknown-name gaol: no parameter",)),
    Case("{{ loop.index }}", ("error unknown-name loop: only between {% for %}",)),
    Case("{% for g in goals %}{% endfor %}{{ g }}", ("error unknown-name g: only inside its loop",)),
    Case("{{ topic }}", ("error optional-unguarded topic: topic is optional",)),
    Case("{{ topic|upper }}", ("error optional-unguarded topic: put {% if topic %} around it",)),
    Case("{% if flag %}{{ topic }}{% endif %}", ("warning optional-unguarded topic: is optional",)),
    Case(
        "{% for a in actions|selectattr('who', 'defined') %}{{ topic }}{% endfor %}",
        ("warning optional-unguarded topic: is optional",),
    ),
    Case("{% if topic %}{{ topic }}{% endif %}\n {{ topic }}", ("error optional-unguarded topic: optional",)),
    Case("{% if topic %}{% else %}{{ topic|upper }}{% endif %}", ("warning optional-unguarded topic: opt",)),
    Case("{{ goals|join(', ') }}", ("error optional-unguarded goals: optional",)),
    Case("{{ 'a' in topic }}", ("error optional-unguarded topic: optional",)),
    Case("{{ context.country }}", ("error optional-unguarded context: context is optional, and without it this fails: put {% if context %}",)),
    Case("{% set x = topic %}{{ x }}", ("error optional-unguarded x: optional",)),
    Case("{{ topic if topic }}", ("warning no-else topic if topic: without an else",)),
    Case(
        "{% for step in steps %}{{ step.due }}{% endfor %}",
        ("error optional-unguarded due: step.due is optional",),
    ),
    Case(
        "{% for a in actions %}{{ a.titel }}{% endfor %}",
        ("error unknown-field titel: in any sample; did you mean 'title'?",),
    ),
    Case(
        "{% for s in steps %}{{ s.owner.nam }}{% endfor %}",
        ("error unknown-field nam: s.owner has no field 'nam'; did you mean 'name'?",),
    ),
    Case(
        "{% for s in steps %}{{ s.who|default('') }}{% endfor %}",
        ("warning unknown-field who: it has title, due, hours and owner",),
    ),
    Case("{{ firm.purpos|default('') }}", ("warning unknown-field purpos: did you mean 'purpose'?",)),
    Case("{{ firm.get('purpos') }}", ("warning unknown-field 'purpos': did you mean 'purpose'?",)),
    Case("{{ firm['purpos'] }}", ("error unknown-field 'purpos': did you mean 'purpose'?",)),
    Case(
        "{{ actions|join(', ', attribute='titel') }}",
        ("error unknown-field 'titel': did you mean 'title'?",),
    ),
    Case("{% for x in score %}{% endfor %}", ("error type-clash score: score is a number: {% for %} goes",)),
    Case("{% for x in goal %}{% endfor %}", ("warning letters goal: goes through its letters",)),
    Case("{{ goal|join(', ') }}", ("warning letters goal: |join goes through its letters",)),
    Case("{{ goal + 1 }}", ("error type-clash goal: goal is a text: + is for numbers here; ~ puts",)),
    Case("{{ 'about ' + score }}", ("error type-clash 'about ': ~ puts texts together",)),
    Case("{{ goal * 2 }}", ("error type-clash goal: * is for numbers",)),
    Case("{{ score > '70' }}", ("error type-clash score > '70': a number and a text",)),
    Case("{{ score == '70' }}", ("warning never-equal score == '70': never equal",)),
    Case("{{ goal.name }}", ("error type-clash name: goal is a text and has no field 'name'",)),
    Case("{{ goal.length }}", ("error type-clash length: did you mean |length?",)),
    Case(
        "{% for step in steps %}{% if step.due %}{% endif %}{% endfor %}",
        ("error optional-unguarded due: put {% if step.due is defined %} around it",),
    ),
    Case("{{ score|join }}", ("error type-clash score: |join needs a list",)),
    Case("{{ goal|round }}", ("error type-clash goal: |round needs a number",)),
    Case("{{ actions|sum(attribute='due') }}", ("error type-clash 'due': |sum needs numbers",)),
    Case("{{ firm.items() }}", ("error type-clash items: add |join",)),
    Case("{{ firm.items }}", ("error type-clash items: needs parentheses",)),
    Case("{{ score.upper() }}", ("error type-clash upper: score is a number",)),
    Case("{% for a, b in firm %}{% endfor %}", ("warning letters a, b: go through .items()",)),
    Case("{% for a, b in actions %}{% endfor %}", ()),
    Case("{{ score|upcase }}", ("error profile upcase: there is no filter upcase; did you mean 'upper'?",)),
    Case("{{ goal is sting }}", ("error profile sting: did you mean 'string'?",)),
    Case("{{ goal.capitalise() }}", ("error profile capitalise: is not available",)),
    Case(
        "{{ goal|uper }}{{ gaol }}",
        ("error profile uper: did you mean 'upper'?", "error unknown-name gaol: did you mean 'goal'?"),
    ),
    Case("a\n  {% if goal %}\nb", ("error profile if: is never closed",)),
    Case("{{ goal & 1 }}", ("error profile &: the character '&' cannot stand",)),
    Case("{% fro x in goals %}", ("error profile fro: there is no tag {% fro %}; did you mean 'for'?",)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.source[:60] for case in CASES])
def test_what_is_said_of_a_template(case: Case) -> None:
    found = [each for each in contract.verdicts(case.source, DECLARED) if each.code != "unused"]
    told = [_told(case.source, verdict) for verdict in found]
    assert len(told) == len(case.said), told
    for line, expected in zip(told, case.said, strict=True):
        head, _, words = expected.partition(": ")
        assert line.startswith(head + ": ")
        assert words in line


def _told(source: str, verdict: Verdict) -> str:
    assert verdict.line is not None
    assert verdict.column is not None
    line = source.split("\n")[verdict.line - 1]
    marked = line[verdict.column - 1 : verdict.column - 1 + verdict.length]
    return f"{verdict.severity} {verdict.code} {marked}: {verdict.message}"


def test_what_is_declared_and_not_used_is_said_once_without_a_line() -> None:
    (found,) = contract.verdicts("{{ goal }}{{ score }}", DECLARED[:4])
    assert (found.severity, found.code, found.line) == ("warning", "unused", None)
    assert found.message == "declared, but not used: topic, flag"


def test_fields_are_learnt_from_all_samples() -> None:
    source = "{% for a in actions %}{{ a.title }}{{ a.note }}{% endfor %}"
    declared = [DECLARED[5]]
    assert [each.code for each in contract.verdicts(source, declared)] == ["unknown-field"]
    sample = {"actions": [{"title": "Hire", "note": "soon"}]}
    (found,) = contract.verdicts(source, declared, [sample])
    assert (found.severity, found.code) == ("warning", "optional-unguarded")
    assert "missing in some samples" in found.message


def test_a_value_that_is_not_as_declared_inside_is_told() -> None:
    value = [{"title": "Hire", "hours": "4", "owner": {}}, "Hire"]
    found = contract.verdicts("{{ steps }}", [DECLARED[8]], [{"steps": value}])
    assert [each.message for each in found] == [
        "the value of steps is not as declared: item 1 field hours: a number is needed, not text",
        "the value of steps is not as declared: item 1 field owner field name: it is missing, and not declared as optional",
        "the value of steps is not as declared: item 2: an object is needed, not text",
    ]


def test_what_is_required_leaves_out_whatever_is_optional_inside_too() -> None:
    assert only_required(DECLARED)["steps"] == [{"title": "Hire", "hours": 4, "owner": {"name": "Ana"}}]
    assert "topic" not in only_required(DECLARED)


@pytest.mark.parametrize("interaction", read_interactions(), ids=lambda row: row["code"])
def test_nothing_is_said_against_a_shipped_template(interaction: dict[str, object]) -> None:
    declared = msgspec.convert(interaction["parameters"], tuple[Parameter, ...])
    assert contract.verdicts(read_prompts()[str(interaction["code"]).lower()], declared) == []

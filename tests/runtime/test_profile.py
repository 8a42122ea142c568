import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controlplane.runtime import profile
from controlplane.runtime.errors import PromptProfileError
from tests.runtime.hostile import HOSTILE, Hostile


@pytest.mark.parametrize(
    "source",
    [
        "",
        "plain text, 100 % of it",
        "{{ goal }}",
        "{{ goal|upper|default('x') }} {{ goal.strip().lower() }}",
        "{% if topic is defined and not topic == 'x' %}a{% elif goal %}b{% else %}c{% endif %}",
        "{% for a in goals %}{% for b in a.items() %}{{ loop.index }}{{ loop.cycle('a', 'b') }}{% endfor %}{% endfor %}",
        "{% for name, value in goal.items() if value %}{{ name }}{% else %}none{% endfor %}",
        "{% set total = [1, 2, 3]|sum * 2 %}{{ total }}{{ {'a': (1, 2)}['a'][0] }}{{ goal[1:3] }}",
        "{{ goals|selectattr('score', 'gt', 3)|map('tojson')|join(', ') }}",
        "{{ goals|join(', ', attribute='name') }}{{ goals|sort(attribute='name')|first }}",
        "{% with a = 1 %}{{ a ~ goal }}{% endwith %}{% raw %}{{ kept }}{% endraw %}{# said to nobody #}",
        "{{ 'a' if goal else 'b' }}{{ goal in ['a', 'b'] }}{{ -1 + 2 - 3 * 4 / 5 // 6 % 7 }}",
        "{%- if goal -%} trimmed {%- endif -%}",
        "{{ range(1, 11)|list|length }}",
    ],
)
def test_what_prompts_are_made_of_passes(source: str) -> None:
    assert profile.check(source).body is not None


@pytest.mark.parametrize(
    "hostile", [one for one in HOSTILE if one.stopped_by == "profile"], ids=lambda hostile: hostile.name[:70]
)
def test_hostile_text_is_refused_before_anything_runs(hostile: Hostile) -> None:
    with pytest.raises(PromptProfileError) as refused:
        profile.check(hostile.source)
    assert len(refused.value.message) < 70_000


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("a\n{% for x in y %}\nb\n", 2, "{% for %} is never closed: add {% endfor %}"),
        ("{% if a %}\n{% for x in y %}\n{% endfor %}\n", 1, "{% if %} is never closed: add {% endif %}"),
        ("{% if a %}\n\n{% endfor %}", 3, "{% endfor %} does not fit: {% if %} of line 1 is still open"),
        ("a\n{% endif %}", 2, "{% endif %} closes nothing: there is no {% if %} before it"),
        ("{% else %}", 1, "{% else %} stands alone: there is no {% if %} or {% for %} open before it"),
        ("{% fro x in y %}", 1, "there is no tag {% fro %}; did you mean 'for'?"),
        ("a\n\n{{ goal", 3, "{{ is never closed: add }}"),
        ("{% if goal", 1, "{% is never closed: add %}"),
        ("{# note", 1, "{# is never closed: add #}"),
        ("{% raw %}x", 1, "{% raw %} is never closed: add {% endraw %}"),
        ("{{ }}", 1, "nothing stands between the braces, or nothing follows an operator"),
        ("{{ goal | }}", 1, "'name' is expected here, not 'end of print statement'"),
        ("{{ goal goal }}", 1, "'goal' is not expected here: is an operator or the closing }} missing?"),
        ("{{ 'a }}", 1, "a quotation mark is never closed"),
        ("{{ a ? b }}", 1, "the character '?' cannot stand inside {{ }} or {% %}"),
        ("a\n{{ goal|uper }}", 2, "there is no filter uper; did you mean 'upper'?"),
        ("a\n{{ goal is defned }}", 2, "there is no test defned; did you mean 'defined'?"),
        ("{{ goals|map('uper') }}", 1, "there is no filter uper; did you mean 'upper'?"),
        ("{{ goals|map(goal) }}", 1, "the name of a filter must be written out in quotes"),
        ("{{ goal._x }}", 1, "._x is not available: fields do not begin with _"),
        ("\n{% include 'shared/tone' %}", 2, '{% include %} stands in no finished prompt: snippets, {% include "shared/…" %}, are put in where a template is saved'),
        ("{{ print(goal) }}", 1, "print() is not available: the one function is range()"),
        ("{{ 2 ** 8 }}", 1, "** is not available"),
    ],
)  # fmt: skip
def test_a_refusal_says_in_words_what_to_change_and_on_which_line(
    source: str, line: int, message: str
) -> None:
    with pytest.raises(PromptProfileError) as refused:
        profile.check(source)
    assert (refused.value.message, refused.value.line) == (message, line)
    assert str(refused.value) == f"Line {line}: {message}"


def test_the_source_may_have_exactly_64_kib() -> None:
    assert profile.check("x" * 64 * 1024)
    with pytest.raises(PromptProfileError, match="65,537 bytes"):
        profile.check("x" * (64 * 1024 + 1))
    with pytest.raises(PromptProfileError, match="bytes"):
        profile.check("é" * (32 * 1024 + 1))


def test_every_kind_of_line_end_becomes_one() -> None:
    assert profile.normalise("a\r\nb\rc\nd\r\n") == "a\nb\nc\nd\n"


@given(st.text("{}%#'\"|.[]() \nabxfor inendifset_=1+*~,-", max_size=200))
@example("{{ goal.a['b'](c)|d is e }}")
def test_any_text_passes_or_is_refused_in_words(source: str) -> None:
    try:
        profile.check(source)
    except PromptProfileError as refused:
        assert refused.message  # noqa: PT017 - both outcomes are right; any other exception fails the test

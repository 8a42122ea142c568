"""What the editor shows is what the model gets: preview and render over values that trip renderers up."""

import json
from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.runtime.entries import Parameter
from controlplane.runtime.renderer import compile_prompt, preview, render

DECLARED = (
    Parameter(name="goal", type="text", required=True),
    Parameter(name="topic", type="string"),
    Parameter(name="said", type="text", untrusted=True),
    Parameter(name="issues", type="list"),
    Parameter(name="business", type="object"),
)
SOURCE = """{{ goal }}
{% if topic %}
On {{ topic|trim }}.
{% endif %}
{% for issue in issues %}
{{ loop.index }}. {{ issue.name }} {{ issue }}
{% endfor %}
<said>{{ said|default('') }}</said>
{{ said|data if said else '-' }}
{{ business.name|default('nobody')|upper }} {{ business|default({})|tojson }}"""

COMPILED = compile_prompt(SOURCE)

_TRICKY = st.sampled_from(
    [
        "<b>", "&amp;", "&", "'", '"', "`", "{{ goal }}", "{{ 7*7 }}", "{% raw %}", "{% endraw %}", "{#", "#}", "}}",
        "\n", "\r", "\r\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\t", " ", "  ", "\xa0", "\ufeff", "é", "e\u0301",
        "İ", "ß", "👩‍👧", "\U000e0041", "%s", "{0}", "\\n", "\\", "$x", "</said>", "<|im_start|>", "\n\nHuman:", "\x00",
    ]
)  # fmt: skip
TEXTS = st.lists(_TRICKY | st.text(max_size=6), max_size=8).map("".join)
VALUES: st.SearchStrategy[Mapping[str, object]] = st.fixed_dictionaries(
    {"goal": TEXTS},
    optional={
        "topic": TEXTS,
        "said": TEXTS,
        "issues": st.lists(st.fixed_dictionaries({"name": TEXTS}), max_size=3),
        "business": st.dictionaries(st.just("name") | TEXTS, TEXTS, max_size=3),
    },
)


@given(VALUES)
@settings(max_examples=50)  # each compiles, as an editor does
def test_preview_shows_the_very_text_that_a_render_gives(values: Mapping[str, object]) -> None:
    text = render(COMPILED, values, DECLARED)
    assert preview(SOURCE, values, DECLARED).text == text
    assert render(COMPILED, values, DECLARED) == text


@given(TEXTS, TEXTS)
def test_values_stand_in_the_text_as_they_are_and_are_never_rendered(goal: str, name: str) -> None:
    source = "<<{{ goal }}>>{% for issue in issues %}({{ issue.name }}){% endfor %}{{ issues }}."
    values = {"goal": goal, "issues": [{"name": name}]}
    expected = f"<<{goal}>>({name}){json.dumps([{'name': name}], ensure_ascii=False)}."
    assert render(compile_prompt(source), values, DECLARED) == expected
    assert preview(source, values, DECLARED).text == expected


@given(TEXTS)
def test_data_is_one_line_between_two_that_it_does_not_hold(value: str) -> None:
    text = render(compile_prompt("{{ goal|data }}"), {"goal": value}, DECLARED)
    begin, line, end = text.splitlines()
    assert (begin[0], begin[-1], end) == ("<", ">", f"</{begin[1:]}")
    assert json.loads(line) == value
    assert begin[1:-1] not in line

"""Putting snippets into a text: what is rendered of it is what Jinja's own include gives, and every line knows where it is from."""

import re

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.runtime.profile import MAX_SOURCE_BYTES
from controlplane.runtime.renderer import Problem, compile_prompt, render
from controlplane.snippets.expansion import Place, Reference, Shared, SnippetProblem, expand, references
from controlplane.snippets.lexing import Text, cut

VALUES = {"x": True, "empty": "", "name": "Ana", "items": ["a", "b"], "own": "outside"}

# Pieces whose white space matters: blank, indented, at the end of a line, next to tags of each kind and with each sign.
SPACES = ["", " ", "  ", "\n", "\n\n", "\n  ", "  \n", "\t"]
WORDS = [
    "Be kind.",
    "a\nb",
    "{{ name }}",
    "{{- name -}}",
    "{{ empty -}}",
    "{{ own }}",
    "{{ mine }}",
    "{# note #}",
    "{#- note +#}",
    "{%- raw -%} {% include 'shared/one' %} {%+ endraw -%}",
]
SIGNS = ["", "-", "+"]


@st.composite
def texts(draw: st.DrawFn, *, including: bool) -> str:
    """A text of a few pieces, with blocks around some of them; a template may include."""
    pieces = []
    for _ in range(draw(st.integers(1, 5))):
        pieces.append(draw(st.sampled_from(SPACES)))
        kind = draw(st.sampled_from(["word", "block", "set", *(["include"] * 2 if including else [])]))
        signs = [draw(st.sampled_from(SIGNS)) for _ in range(4)]
        space = draw(st.sampled_from(SPACES))
        word = draw(st.sampled_from(WORDS))
        if kind == "include":
            word = f"{{%{signs[0]} include 'shared/{draw(st.sampled_from(['one', 'two']))}' {signs[1]}%}}"
        elif kind == "block":
            head, tail = draw(st.sampled_from([("if x", "endif"), ("for item in items", "endfor")]))
            word = f"{{%{signs[0]} {head} {signs[1]}%}}{space}{word}{{%{signs[2]} {tail} {signs[3]}%}}"
        elif kind == "set":
            word = f"{{%{signs[0]} set other = 'inside' {signs[1]}%}}"
        pieces.append(word)
    # Names are set before they are read: what Jinja makes of the other order depends on how deep the reading stands.
    starts = ["{% set mine = 'of the template' %}"] if including else ["", "{% set own = 'inside' -%}"]
    start = draw(st.sampled_from(starts))
    return start + "".join(pieces) + draw(st.sampled_from(SPACES))


@settings(max_examples=300, deadline=None)
@given(texts(including=True), texts(including=False), texts(including=False))
def test_what_is_rendered_is_what_jinjas_own_include_renders(template: str, one: str, two: str) -> None:
    texts_by_name = {"shared/one": one, "shared/two": two}
    shared = {"one": Shared(1, {1: one}), "two": Shared(1, {1: two})}
    jinja = jinja2.Environment(
        loader=jinja2.DictLoader(texts_by_name),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )

    expanded = expand(template, shared)

    assert "include" not in re.sub(r"raw.*?endraw", "", expanded.text, flags=re.DOTALL)
    as_jinja = jinja.from_string(with_lines_of_their_own(template, texts_by_name))
    assert jinja.from_string(expanded.text).render(VALUES) == as_jinja.render(VALUES)


ALONE = re.compile(r"^([ \t]*)(\{%[-+]? include '(shared/\w+)' )%\}$", re.MULTILINE)


def with_lines_of_their_own(template: str, texts_by_name: dict[str, str]) -> str:
    """The one rule that is not Jinja's: alone on its line, an include keeps the line's end where the snippet has none."""
    raw = re.compile(r"(\{%[-+]? raw.*?endraw [-+]?%\})", re.DOTALL)

    def spelled(found: re.Match[str]) -> str:
        keeps = not texts_by_name[found[3]].endswith("\n") and found.end() < len(template)
        return f"{found[1]}{found[2]}{'+' if keeps else ''}%}}"

    # Only a line that has neither the end of a raw section nor its beginning is alone; there is no other text to match.
    return "".join(part if raw.fullmatch(part) else ALONE.sub(spelled, part) for part in [template])


@given(texts(including=True))
@settings(max_examples=100, deadline=None)
def test_a_text_cut_up_and_put_together_is_the_same(template: str) -> None:
    parts = cut(template)

    assert "".join(p.written if isinstance(p, Text) else p.source + p.swallowed for p in parts) == template


SHARED = {
    "tone": Shared(3, {3: "Be kind.\nBe {{ how }}.\n", 2: "Be firm."}),
    "name": Shared(1, {1: "{{ name }}"}),
    "set": Shared(1, {1: "{% set a = 1 %}\n{{ a }}\n"}),
    "gone": Shared(1, {1: "Gone."}, archived=True),
    "nest": Shared(1, {1: "{% include 'shared/tone' %}"}),
}


@pytest.mark.parametrize(
    ("body", "text", "taken"),
    [
        ('A\n{% include "shared/tone" %}\nB\n', "A\nBe kind.\nBe {{ how }}.\nB\n", {"tone": 3}),
        # Alone on its line it makes a line of its own, indented or not, with a newline at its end or without.
        ('A\n  {% include "shared/tone@2" %}\nB\n', "A\nBe firm.\nB\n", {"tone@2": 2}),
        ('A {% include "shared/tone@2" %} B', "A Be firm. B", {"tone@2": 2}),
        (
            "{% include 'shared/name' %}, {% include 'shared/tone@2' %}",
            "{{ name }}, Be firm.",
            {"name": 1, "tone@2": 2},
        ),
        ('{%- include "shared/set" -%}', "{% with %}{% set a = 1 %}\n{{ a }}\n{% endwith %}", {"set": 1}),
        # What only looks like an include is none.
        ("{% raw %}{% include 'shared/x' %}{% endraw %}", None, {}),
        ("{# {% include 'shared/x' %} #}", None, {}),
        ("{{ \"{% include 'shared/x' %}\" }}", None, {}),
        ("include nothing", None, {}),
        # What cannot be read is left to whoever compiles it.
        ("{% include 'shared/x' %}{{ 'never closed", None, {}),
    ],
)
def test_the_text_reads_as_somebody_would_have_written_it(
    body: str, text: str | None, taken: dict[str, int]
) -> None:
    expanded = expand(body, SHARED)

    assert expanded.text == (body if text is None else text)
    assert expanded.taken == taken
    assert {each.short for each in references(body)} == set(taken)


def test_a_text_with_snippets_is_compiled_and_rendered_by_the_runtime() -> None:
    compiled = compile_prompt(expand('A\n{% include "shared/set" %}\n{% if true %}B{% endif %}', SHARED).text)

    assert render(compiled, {}, ()) == "A\n1\nB"


@pytest.mark.parametrize(
    ("include", "message"),
    [
        ('"shared/tune"', "there is no snippet shared/tune; did you mean 'shared/tone'?"),
        ('"shared/tone@9"', "shared/tone has no version 9; the newest is 3"),
        ('"shared/tone@x"', "after the @ in 'shared/tone@x' the number of a version is expected"),
        ('"shared/tone@0"', "after the @ in 'shared/tone@0'"),
        ('"shared/Tone"', "'shared/Tone' is no name of a snippet"),
        ('"tone"', "there is no 'tone' to include: snippets have names like shared/tone"),
        ('"shared/gone"', "the snippet shared/gone is archived: restore it, or take it out"),
        ('"shared/nest"', "in shared/nest: a snippet cannot hold another snippet"),
        ('"shared/tone" ignore missing', "only the name of a snippet in quotes can be included"),
        ('"shared/tone" with context', "only the name of a snippet in quotes can be included"),
        ('["shared/tone"]', "only the name of a snippet in quotes can be included"),
        ('"shared/" ~ name', "only the name of a snippet in quotes can be included"),
        ("name", "only the name of a snippet in quotes can be included"),
        ("", "only the name of a snippet in quotes can be included"),
        (r'"shared/\x74one"', "only the name of a snippet in quotes can be included"),
    ],
)
def test_an_include_that_is_not_as_it_should_be_is_refused_at_its_line(include: str, message: str) -> None:
    with pytest.raises(SnippetProblem) as refused:
        expand(f"A\nB\n{{% include {include} %}}", SHARED, known=sorted(SHARED))

    assert refused.value.problem.message.startswith(message)
    assert refused.value.problem.line == 3


def test_a_text_grows_no_larger_than_a_prompt_may_be() -> None:
    long = {"long": Shared(1, {1: "x" * 60_000})}
    many = '{% include "shared/long" %}'

    assert len(expand(many, long).text) == 60_000
    with pytest.raises(SnippetProblem, match=r"with its snippets put in, the text has about 120,"):
        expand(f"{many}\n{many}", long)
    # Neither is a text read that is refused for its size anyway.
    assert expand(many * 4_000, long).text == many * 4_000
    assert len(many * 4_000) > MAX_SOURCE_BYTES


def test_every_line_is_known_by_where_it_was_written() -> None:
    body = 'You.\n{% include "shared/tone" %}\n{% if x %}\n{% include "shared/tone@2" %}\n{% endif %}\nTo {% include "shared/name" %}!\n'
    expanded = expand(body, SHARED)

    tone, firm = "shared/tone", "shared/tone@2"
    assert expanded.text.splitlines() == [
        "You.", "Be kind.", "Be {{ how }}.", "{% if x %}", "Be firm.", "{% endif %}", "To {{ name }}!",
    ]  # fmt: skip
    found = [expanded.place(line) for line in range(1, 8)]
    assert [(each.line, each.included and each.included.name) for each in found] == [
        (1, None),
        (1, tone),
        (2, tone),
        (3, None),
        (1, firm),
        (5, None),
        (1, "shared/name"),
    ]
    assert expanded.place(7, column=2) == Place(6, 2)
    assert expanded.place(7, column=7)[:2] == (1, 4)
    # What follows an include on its line is told by the column at which it was written.
    assert expanded.place(7, column=14) == Place(6, body.splitlines()[5].index("!") + 1)


def test_a_problem_is_told_by_the_lines_that_its_author_wrote() -> None:
    expanded = expand('A\n{% include "shared/tone" %}\n{{ b }}', SHARED)

    assert expanded.told(Problem("no such name", 3)) == Problem("in shared/tone, line 2: no such name", 2)
    assert expanded.told(Problem("no such name", 3, 7)) == Problem(
        "in shared/tone, line 2: no such name", 2, 1
    )
    assert expanded.told(Problem("{% if %} of line 4 is open", 4)) == Problem("{% if %} of line 3 is open", 3)
    assert expanded.told(Problem("too long")) == Problem("too long")
    assert expand("A", SHARED).told(Problem("as it is", 1)) == Problem("as it is", 1)


def test_references_say_what_follows_and_what_is_pinned() -> None:
    found = references("{% include 'shared/tone' %}\n{% include 'shared/tone@2' %}")

    assert found == [Reference("tone", None, 1, 1, 27), Reference("tone", 2, 2, 1, 29)]
    assert [each.name for each in found] == ["shared/tone", "shared/tone@2"]

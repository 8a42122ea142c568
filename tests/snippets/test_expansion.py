"""Putting snippets into a text: what is rendered of it is what Jinja's own include gives, and every line knows where it is from."""

import re

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.runtime.profile import MAX_SOURCE_BYTES
from controlplane.runtime.renderer import Problem, compile_prompt, render
from controlplane.snippets.expansion import (
    Place,
    Reference,
    Shared,
    SnippetProblem,
    expand,
    references,
)
from controlplane.snippets.lexing import Text, cut

VALUES = {"x": True, "empty": "", "name": "Ana", "items": ["a", "b"], "own": "outside"}

# Pieces whose white space matters: blank, indented, at the end of a line, next to tags of each kind and with each sign.
SPACES = ["", " ", "  ", "\n", "\n\n", "\n  ", "  \n", "\t"]
WORDS = ["Be kind.", "a\nb", "{{ name }}", "{{- name -}}", "{{ empty -}}", "{{ own }}", "{{ mine }}", "{# note #}", "{#- note +#}", "{%- raw -%} {% include 'shared/one' %} {%+ endraw -%}"]
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
        loader=jinja2.DictLoader(texts_by_name), trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
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
    return "".join(
        part if raw.fullmatch(part) else ALONE.sub(spelled, part) for part in [template]
    )


@given(texts(including=True))
@settings(max_examples=100, deadline=None)
def test_a_text_cut_up_and_put_together_is_the_same(template: str) -> None:
    parts = cut(template)

    assert "".join(p.written if isinstance(p, Text) else p.source + p.swallowed for p in parts) == template

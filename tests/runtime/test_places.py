"""Where a part of a prompt stands, against the text itself."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st
from jinja2 import TemplateSyntaxError, nodes

from controlplane.first_data.read import read_prompts
from controlplane.runtime import places, profile
from controlplane.runtime.places import Mark
from controlplane.runtime.sandbox import ENVIRONMENT

pieces = st.sampled_from(
    ["{{ name }}", "{{- name -}}", "{% if a %}", "{%- endif -%}", "{%+ if a +%}", "{# a\nb #}", "{#- c -#}", "\n", "\n\n", "  ", "\t", "text ",
     "ü🦊", "{% raw %}{{ x }}\n{% endraw %}", "{%\n  set b =\n  1 %}", "{{ 'a\nb' }}", "\u2028"]
)  # fmt: skip


@given(st.lists(pieces, max_size=12).map("".join))
def test_every_token_is_found_where_it_stands(source: str) -> None:
    begins = [0, *accumulate(len(line) + 1 for line in source.split("\n"))]
    try:
        found = list(places.tokens(ENVIRONMENT, source))
    except TemplateSyntaxError:
        return
    end = 0
    for place, _, value in found:
        assert source[place.offset :].startswith(value)
        assert source[end : place.offset].strip() == ""  # nothing is passed over but white space
        assert begins[place - 1] <= place.offset < max(begins[place], begins[place - 1] + 1)
        end = place.offset + len(value)


def test_names_fields_filters_and_tests_are_marked_alone() -> None:
    for source in read_prompts().values():
        for node in profile.check(source).find_all((nodes.Name, nodes.Getattr, nodes.Filter, nodes.Test)):
            mark = places.mark_of(node, source)
            assert mark is not None
            assert isinstance(node, nodes.Name | nodes.Getattr | nodes.Filter | nodes.Test)
            name = node.attr if isinstance(node, nodes.Getattr) else node.name
            assert source.split("\n")[mark.line - 1][mark.column - 1 :][: mark.length] == name


def test_an_operation_is_marked_from_its_first_part_to_its_last() -> None:
    source = "a\n  {{ first.field + 'x' }}"
    (node,) = profile.check(source).find_all(nodes.Add)
    assert places.mark_of(node, source) == Mark(2, 6, len("first.field + 'x'"))
    (field,) = profile.check(source).find_all(nodes.Getattr)
    assert places.mark_of(field, source) == Mark(2, 12, 5)

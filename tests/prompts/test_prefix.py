"""What all texts of a template begin with, what ends that, and what a change does to it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.prompts import prefix
from controlplane.prompts.prefix import Prefix, literal, prefix_of
from controlplane.runtime.entries import Parameter

NAME = Parameter(name="name", type="string", required=True)
GOALS = Parameter(name="goals", type="list", required=False)
LANGUAGE = Parameter(name="language", type="string", required=True)
SOURCE = "You are kind.\nAnswer in {{ language }}.\n{% if goals %}Goals: {{ goals|length }}\n{% endif %}Dear {{ name }},\n"


def text(name: str, goals: list[str] | None, language: str = "English") -> str:
    told = f"Goals: {len(goals)}\n" if goals else ""
    return f"You are kind.\nAnswer in {language}.\n{told}Dear {name},\n"


def found(*values: tuple[str, list[str] | None]) -> Prefix:
    renders = [
        ({"name": name, "language": "English"} | ({"goals": goals} if goals else {}), text(name, goals))
        for name, goals in values
    ]
    prefix = prefix_of(SOURCE, renders, [NAME, GOALS, LANGUAGE])
    assert prefix is not None
    return prefix


def test_the_first_parameter_that_differs_ends_it() -> None:
    same_language = found(("Ana", None), ("Bo", None))
    assert (same_language.ended_by, same_language.line) == ("name", 4)
    assert same_language.characters == len("You are kind.\nAnswer in English.\nDear ")
    assert "name, on line 4, ends it" in same_language.sentence


def test_where_a_parameter_only_decides_it_ends_nothing_unless_it_decides_otherwise() -> None:
    assert found(("Ana", ["a"]), ("Bo", None)).ended_by == "goals"
    # Two goals or one: what is printed of them differs, on the same line.
    assert found(("Ana", ["a"]), ("Ana", ["a", "b"])).ended_by == "goals"


def test_one_and_the_same_text_is_whole() -> None:
    whole = found(("Ana", None), ("Ana", None))
    assert whole.whole
    assert whole.sentence.startswith("Every call has the same text")
    assert whole.hint is None


def test_without_renders_there_is_nothing_to_say() -> None:
    assert prefix_of(SOURCE, [], [NAME]) is None


def test_a_name_inside_quotation_marks_or_a_comment_is_not_taken_for_a_parameter() -> None:
    source = "{# name #}{{ 'name' }}\n{% raw %}{{ name }}{% endraw %}\n{{ language }}"
    renders = [({"name": "A", "language": "en"}, "x"), ({"name": "B", "language": "fr"}, "y")]
    prefix = prefix_of(source, renders, [NAME, LANGUAGE])
    assert prefix is not None
    assert (prefix.ended_by, prefix.line) == ("language", 3)


def test_what_stands_before_the_first_parameter_begins_every_call() -> None:
    begun = literal("{# for whom #}You are kind.\n{{ name }}", [NAME])
    assert (begun.characters, begun.ended_by, begun.line) == (len("You are kind.\n"), "name", 2)
    assert literal("Always the same.", [NAME]).whole


def test_a_change_of_it_is_told_with_what_it_is_good_for() -> None:
    short, long = (Prefix(count * 4, count, 2, whole=False) for count in (300, 2_000))
    assert prefix.change_in_words(long, short).startswith(
        "Shorter than now: about 2,000 tokens so far. It falls below"
    )
    assert prefix.change_in_words(short, long).startswith(
        "Longer than now: about 300 tokens so far. From 1,024 on"
    )
    assert prefix.change_in_words(long, long) == "About as long as now."
    assert prefix.change_in_words(None, long) == ""


@settings(max_examples=50)
@given(st.lists(st.text("ab", max_size=6), min_size=1, max_size=5))
def test_it_is_what_all_of_them_begin_with_and_no_shorter(texts: list[str]) -> None:
    prefix = prefix_of("", [({}, each) for each in texts], [])
    assert prefix is not None
    common = texts[0][: prefix.characters]
    assert all(each.startswith(common) for each in texts)
    longer = {each[: prefix.characters + 1] for each in texts}
    assert prefix.whole or len(longer) > 1


def test_other_values_are_of_the_same_kind_and_differ() -> None:
    declared = [NAME, GOALS, LANGUAGE]
    given = {"name": "Ana", "goals": ["one", {"of": 2}], "language": "", "unknown": 1}
    assert prefix.other_than(given, declared) == {"name": "Bna", "goals": ["Ane", {"of": 3}], "language": "A"}

from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.prompts.merge import first_mark, marked, merged

TEXTS = st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=12).map("\n".join)
BASE = "You are a coach.\n\nGoals:\n- {{ goal }}\n\nAnswer briefly."


def test_changes_of_different_lines_come_together() -> None:
    mine = BASE.replace("a coach", "a kind coach")
    theirs = BASE.replace("briefly", "in three sentences")
    assert (
        merged(BASE, mine, theirs)
        == "You are a kind coach.\n\nGoals:\n- {{ goal }}\n\nAnswer in three sentences."
    )


def test_changes_of_the_same_line_are_for_a_person() -> None:
    assert merged(BASE, BASE.replace("coach", "mentor"), BASE.replace("coach", "guide")) is None


def test_changes_of_neighbouring_lines_are_for_a_person() -> None:
    assert merged("a\nb", "x\nb", "a\ny") is None


def test_the_same_change_by_both_is_made_once() -> None:
    assert merged(BASE, BASE + "\nBe kind.", BASE + "\nBe kind.") == BASE + "\nBe kind."


@settings(deadline=None)  # a slow machine is no defect
@given(TEXTS, TEXTS)
def test_with_only_one_change_the_result_is_that_change(base: str, changed: str) -> None:
    assert merged(base, changed, base) == changed
    assert merged(base, base, changed) == changed


@settings(deadline=None)  # a slow machine is no defect
@given(TEXTS, TEXTS, TEXTS)
def test_it_does_not_matter_who_came_first(base: str, mine: str, theirs: str) -> None:
    assert merged(base, mine, theirs) == merged(base, theirs, mine)


def both(base: str, mine: str, theirs: str) -> str:
    return marked(base, mine, theirs, mine_name="yours", theirs_name="theirs")


@given(TEXTS, TEXTS, TEXTS)
def test_marks_stand_only_where_a_person_has_to_decide(base: str, mine: str, theirs: str) -> None:
    whole = merged(base, mine, theirs)

    text = both(base, mine, theirs)

    if whole is not None:
        assert text == whole
    if first_mark(text) is None:
        assert both(base, theirs, mine) == text


@given(TEXTS, TEXTS)
def test_what_only_one_changed_needs_no_mark(base: str, changed: str) -> None:
    assert both(base, changed, base) == both(base, base, changed) == both(base, changed, changed) == changed


def test_both_stand_between_marks() -> None:
    text = both("one\ntwo\nthree", "one\nTWO\nthree", "one\nzwei\nthree")

    assert text == "one\n<<<<<<< yours\nTWO\n=======\nzwei\n>>>>>>> theirs\nthree"
    assert first_mark(text) == 2
    assert first_mark("A heading\n=======\n") is None

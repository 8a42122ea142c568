from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.prompts.textdiff import Part, Row, lines, summary

TEXTS = st.lists(st.sampled_from(["", "a", "b c", "b d", "{{ name }}", "\u2028x"]), max_size=30).map(
    "\n".join
)


def side(rows: list[Row], *kinds: str) -> str:
    return "\n".join(row.text for row in rows if row.kind in kinds)


def test_equal_texts_have_no_rows() -> None:
    assert lines("one\ntwo", "one\ntwo") == []


def test_a_changed_word_is_marked_on_both_sides() -> None:
    removed, added = lines("You are a coach.", "You are a kind coach.")
    assert removed.kind == "del"
    assert [part for part in removed.parts if part.marked] == []
    assert [part for part in added.parts if part.marked] == [Part("kind ", marked=True)]
    assert added.text == "You are a kind coach."


def test_lines_with_nothing_in_common_are_not_marked_word_by_word() -> None:
    removed, added = lines("alpha beta gamma", "1-2-3-4-5-6")
    assert removed.parts == (Part("alpha beta gamma"),)
    assert added.parts == (Part("1-2-3-4-5-6"),)


def test_far_unchanged_lines_fold_into_a_gap_that_says_how_many() -> None:
    old = [f"line {number}" for number in range(1, 31)]
    new = [*old]
    new[14] = "another line 15"
    rows = lines("\n".join(old), "\n".join(new))
    assert [row.kind for row in rows] == ["skip", *["same"] * 3, "del", "ins", *["same"] * 3, "skip"]
    assert (rows[0].hidden, rows[-1].hidden) == (11, 12)
    assert (rows[1].old, rows[1].new) == (12, 12)


def test_without_a_context_every_line_is_kept() -> None:
    assert [row.kind for row in lines("a\nb", "a\nb", context=None)] == ["same", "same"]


def test_beyond_some_thousand_lines_the_changed_part_is_shown_as_replaced() -> None:
    old = ["first", *map(str, range(6_000)), "last"]
    new = [
        "first",
        *(f"{number} changed" if number % 3 != 1 else str(number) for number in range(6_000)),
        "last",
    ]
    rows = lines("\n".join(old), "\n".join(new), context=None)
    assert [row.kind for row in rows] == ["same", *["del"] * 6_000, *["ins"] * 6_000, "same"]
    assert side(rows, "same", "del").split("\n") == old
    assert side(rows, "same", "ins").split("\n") == new


def test_a_difference_too_long_for_a_page_ends_with_what_is_left_out() -> None:
    rows = lines("", "\n".join(map(str, range(5_000))))
    assert len(rows) == 2_001
    assert rows[-1].text == "3,000 more lines are not shown: 3,000 lines added"
    assert str(summary(rows)) == "5,000 lines added"


def test_a_summary_counts_lines_in_words() -> None:
    assert str(summary(lines("a\nb", "a\nc\nd"))) == "2 lines added, 1 line removed"
    assert str(summary(lines("", "a"))) == "1 line added"
    assert str(summary([])) == "no difference"


def test_a_separator_that_is_no_line_feed_stays_inside_its_line() -> None:
    (row,) = lines("", "a\u2028b\x0cc")
    assert row.text == "a\u2028b\x0cc"


def test_texts_made_to_be_slow_to_compare_still_compare() -> None:
    for old, new in (
        ("\n" * 60_000, "x\n" * 30_000),
        ("a b " * 16_000, "b a " * 16_000),
        ("a b\n" * 16_000, "b a\n" * 16_000),
        ("\n".join(map(str, range(13_000))), "\n".join(map(str, range(13_000, 0, -1)))),
    ):
        rows = lines(old, new)
        assert summary(rows).added > 0


@settings(deadline=None)  # a slow machine is no defect
@given(TEXTS, TEXTS)
def test_the_rows_hold_both_texts(old: str, new: str) -> None:
    rows = lines(old, new, context=None)
    assert side(rows, "same", "del") == old
    assert side(rows, "same", "ins") == new
    assert [row.old for row in rows if row.old] == list(range(1, len(old.split("\n")) + 1 if old else 1))


@settings(deadline=None)  # a slow machine is no defect
@given(TEXTS, TEXTS)
def test_folding_hides_only_unchanged_lines(old: str, new: str) -> None:
    whole, folded = lines(old, new, context=None), lines(old, new)
    assert [row for row in folded if row.kind in {"ins", "del"}] == [
        row for row in whole if row.kind in {"ins", "del"}
    ]
    if old != new:
        assert sum(row.hidden or 1 for row in folded) == len(whole)

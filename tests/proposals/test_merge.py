import copy
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from controlplane.proposals.merge import Merged, Side, merge, resolve
from controlplane.releases.compose import Document
from controlplane.releases.diff import FieldChange, diff
from controlplane.runtime import canonical
from tests.releases.documents import configuration, gate, interaction, parameter, prompt, variant
from tests.releases.strategies import documents, unhurried

maybe = st.none() | documents()


def spelled(document: Document | None) -> bytes:
    return canonical.dumps(document)


def all_of(merged: Merged, side: Side) -> Document | None:
    return resolve(merged, {conflict.path: side for conflict in merged.conflicts})


def paths(merged: Merged) -> list[str]:
    return [conflict.path for conflict in merged.conflicts]


# What holds for any three documents


@unhurried
@given(maybe, maybe)
def test_what_only_one_side_changed_is_taken_as_it_is(
    base: Document | None, changed: Document | None
) -> None:
    for merged in (merge(base, base, changed), merge(base, changed, base), merge(base, changed, changed)):
        assert spelled(merged.document) == spelled(changed)
        assert not merged.conflicts


@unhurried
@given(maybe, maybe, maybe)
def test_the_sides_may_change_places(
    base: Document | None, theirs: Document | None, ours: Document | None
) -> None:
    one, other = merge(base, theirs, ours), merge(base, ours, theirs)

    assert paths(one) == paths(other)
    assert [(each.theirs, each.ours) for each in one.conflicts] == [
        (each.ours, each.theirs) for each in other.conflicts
    ]
    assert spelled(all_of(one, "theirs")) == spelled(all_of(other, "ours"))


@unhurried
@given(maybe, maybe, maybe)
def test_nobodys_document_is_touched(
    base: Document | None, theirs: Document | None, ours: Document | None
) -> None:
    kept = copy.deepcopy((base, theirs, ours))

    all_of(merge(base, theirs, ours), "ours")

    assert kept == (base, theirs, ours)


@unhurried
@given(maybe, maybe, maybe)
def test_a_conflict_is_where_both_changed_to_something_else(
    base: Document | None, theirs: Document | None, ours: Document | None
) -> None:
    merged = merge(base, theirs, ours)

    assert len(set(paths(merged))) == len(merged.conflicts)
    for each in merged.conflicts:
        told = {repr(each.base), repr(each.theirs), repr(each.ours)}
        assert len(told) == 3


@unhurried
@given(maybe, maybe, maybe)
def test_resolving_for_one_side_keeps_all_that_this_side_changed(
    base: Document | None, theirs: Document | None, ours: Document | None
) -> None:
    merged = merge(base, theirs, ours)
    sides: list[tuple[Side, Document | None]] = [("theirs", theirs), ("ours", ours)]
    for side, document in sides:
        resolved = all_of(merged, side)
        # Merged once more with what it already holds, nothing of that side is left to take.
        assert spelled(all_of(merge(base, resolved, document), "theirs")) == spelled(resolved)


# Documents whose fields can be told apart by eye: an oracle that knows nothing of how merging is done

_NAMES = ("alpha", "beta", "gamma", "nested.one", "nested.two")
_PATHS = (*_NAMES, *(f"parameter {item} · {field}" for item in "pqr" for field in "xyz"))
_fields = st.dictionaries(st.sampled_from(_PATHS), st.integers(0, 2), max_size=10)
# Which side changes a path, and to what; None takes it away.
_edits = st.dictionaries(
    st.sampled_from(_PATHS), st.tuples(st.booleans(), st.none() | st.integers(3, 5)), max_size=5
)


def document_of(fields: dict[str, int]) -> Document:
    document: Document = {"nested": {"here": True}, "parameters": []}
    items: dict[str, Document] = {}
    for path, value in sorted(fields.items()):
        item, parted, field = path.rpartition(" · ")
        if parted:
            items.setdefault(item, {"name": item.removeprefix("parameter ")})[field] = value
        elif "." in path:
            document["nested"][path.partition(".")[2]] = value
        else:
            document[path] = value
    document["parameters"] = list(items.values())
    return document


def edited(fields: dict[str, int], edits: dict[str, int | None]) -> dict[str, int]:
    changed = {**fields, **edits}
    return {path: value for path, value in changed.items() if value is not None}


@unhurried
@given(_fields, _edits)
def test_changes_of_different_fields_come_together_in_either_order(
    base: dict[str, int], edits: dict[str, tuple[bool, int | None]]
) -> None:
    theirs = {path: value for path, (mine, value) in edits.items() if not mine}
    ours = {path: value for path, (mine, value) in edits.items() if mine}
    assume(not _one_item_comes_or_goes(base, edited(base, theirs), edited(base, ours)))

    merged = merge(document_of(base), document_of(edited(base, theirs)), document_of(edited(base, ours)))

    together = edited(edited(base, theirs), ours)
    # An item whose fields went one by one on both sides is there without any; here it would not be there at all.
    assume(
        _items_of(edited(base, theirs)).keys() & _items_of(edited(base, ours)).keys()
        <= _items_of(together).keys()
    )
    expected = document_of(together)
    assert expected == document_of(edited(edited(base, ours), theirs))
    assert not merged.conflicts
    assert _unordered(merged.document) == _unordered(expected)


def _one_item_comes_or_goes(*sides: dict[str, int]) -> bool:
    """Whether both sides touch an item that one of them makes or removes: that is one value, and a conflict."""
    found = [_items_of(side) for side in sides]
    base, theirs, ours = found
    for item in {label for items in found for label in items}:
        here = [items.get(item) for items in found]
        if None in here and base.get(item) not in (theirs.get(item), ours.get(item)):
            return True
    return False


def _items_of(fields: dict[str, int]) -> dict[str, list[tuple[str, int]]]:
    items: dict[str, list[tuple[str, int]]] = {}
    for path, value in sorted(fields.items()):
        if " · " in path:
            items.setdefault(path.partition(" · ")[0], []).append((path, value))
    return items


def _unordered(document: Document | None) -> Any:
    assert document is not None
    return {**document, "parameters": sorted(document["parameters"], key=lambda item: item["name"])}


# What it means for the documents there are


def test_one_changed_the_model_the_other_the_temperature() -> None:
    base = configuration(variant(3, model="A_MODEL", temperature=0.7))
    theirs = configuration(variant(4, model="B_MODEL", temperature=0.7))
    ours = configuration(variant(3, model="A_MODEL", temperature=0.2))

    merged = merge(base, theirs, ours)

    assert not merged.conflicts
    assert merged.document == configuration(variant(4, model="B_MODEL", temperature=0.2))


def test_paths_are_those_of_the_difference() -> None:
    base = configuration(variant(3, model="A_MODEL", temperature=0.7))
    theirs = configuration(variant(4, model="B_MODEL", temperature=0.7))
    ours = configuration(variant(5, model="C_MODEL", temperature=0.7))

    merged = merge(base, theirs, ours)

    (change,) = diff({"k/1": theirs}, {"k/1": ours})
    assert set(paths(merged)) == {field.path for field in change.fields} == {"version", "model"}
    assert resolve(merged, {"version": "ours", "model": "theirs"}) == configuration(
        variant(5, model="B_MODEL", temperature=0.7)
    )


def test_two_shares_of_one_entry_are_one_choice() -> None:
    base = configuration(variant(3, ranges=[[0, 100_000]]))
    theirs = configuration(variant(3, ranges=[[0, 90_000]]), variant(4, ranges=[[90_000, 100_000]]))
    ours = configuration(variant(3, ranges=[[0, 50_000]]), variant(5, ranges=[[50_000, 100_000]]))

    merged = merge(base, theirs, ours)

    assert paths(merged) == ["variants"]
    assert all_of(merged, "ours") == ours


def test_a_share_that_only_one_moved_goes_with_the_others_settings() -> None:
    base = configuration(variant(3, model="A_MODEL"), variant(4, model="B_MODEL", ranges=[]))
    theirs = configuration(
        variant(3, model="A_MODEL", ranges=[[0, 9]]), variant(4, model="B_MODEL", ranges=[[9, 100_000]])
    )
    ours = configuration(variant(3, model="A_MODEL", temperature=0.1), variant(4, model="B_MODEL", ranges=[]))

    merged = merge(base, theirs, ours)

    assert not merged.conflicts
    assert merged.document is not None
    assert merged.document["variants"][0]["temperature"] == 0.1
    assert [item["ranges"] for item in merged.document["variants"]] == [[[0, 9]], [[9, 100_000]]]


def test_which_template_a_variant_takes_is_one_choice() -> None:
    base = configuration(variant(3, prompt={"code": "one"}))
    theirs = configuration(variant(3, prompt={"code": "one", "version": 2, "sha256": "aa"}))
    ours = configuration(variant(3, prompt={"code": "two"}))

    assert paths(merge(base, theirs, ours)) == ["prompt"]


def test_a_text_is_one_choice_with_its_number_and_digest() -> None:
    base, theirs, ours = (prompt(version=number, sha256=str(number) * 64) for number in (1, 2, 3))

    merged = merge(base, theirs, ours)

    assert paths(merged) == ["version"]
    assert all_of(merged, "ours") == ours
    assert all_of(merged, "theirs") == theirs


def test_parameters_of_two_people_stand_beside_each_other() -> None:
    base = interaction(parameter("a"))
    theirs = interaction(parameter("a"), parameter("b"))
    ours = interaction(parameter("a"), parameter("c"))

    merged = merge(base, theirs, ours)

    assert merged.document == interaction(parameter("a"), parameter("b"), parameter("c"))
    assert not merged.conflicts


def test_another_order_and_another_parameter_go_together() -> None:
    base = interaction(parameter("a"), parameter("b"))
    theirs = interaction(parameter("b"), parameter("a"))
    ours = interaction(parameter("a"), parameter("b"), parameter("c"))

    for merged in (merge(base, theirs, ours), merge(base, ours, theirs)):
        assert merged.document == interaction(parameter("b"), parameter("a"), parameter("c"))


def test_parameters_that_both_put_at_one_place_are_no_conflict() -> None:
    base = interaction(parameter("m"))
    theirs = interaction(parameter("z"), parameter("m"))
    ours = interaction(parameter("a"), parameter("m"), parameter("n"))

    merged = merge(base, theirs, ours)

    assert not merged.conflicts
    assert merged.document == interaction(parameter("z"), parameter("a"), parameter("m"), parameter("n"))


def test_two_other_orders_are_one_choice() -> None:
    base = interaction(parameter("a"), parameter("b"), parameter("c"))
    theirs = interaction(parameter("b"), parameter("a"), parameter("c"))
    ours = interaction(parameter("a"), parameter("c"), parameter("b"))

    assert paths(merge(base, theirs, ours)) == ["order of parameters"]


@pytest.mark.parametrize("ours", [None, gate([0, 7])])
def test_an_entry_that_one_removed_or_both_made_is_one_choice(ours: Document | None) -> None:
    theirs = gate([0, 9])
    base = gate() if ours is None else None

    merged = merge(base, theirs, ours)

    assert paths(merged) == [""]
    assert all_of(merged, "ours") == ours
    assert all_of(merged, "theirs") == theirs


def test_what_was_not_decided_is_not_guessed() -> None:
    merged = merge({"a": 1}, {"a": 2}, {"a": 3})

    with pytest.raises(ValueError, match="undecided: a"):
        resolve(merged, {})


def test_fields_of_the_difference_are_all_there_is_to_merge() -> None:
    """The oracle above and `releases.diff` agree about what a field is."""
    before, after = document_of({"alpha": 1, "nested.one": 1}), document_of({"alpha": 2, "nested.one": 3})

    (change,) = diff({"k/1": before}, {"k/1": after})

    assert change.fields == (FieldChange("alpha", 1, 2), FieldChange("nested.one", 1, 3))

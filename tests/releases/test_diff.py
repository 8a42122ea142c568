from typing import Any

import pytest
from hypothesis import given

from controlplane.releases.compose import Document
from controlplane.releases.diff import ABSENT, Absent, EntryChange, Kind, diff, same
from controlplane.runtime import canonical
from tests.releases.documents import PREMIUM, configuration, gate, interaction, parameter, prompt, variant
from tests.releases.strategies import documents, entry_sets, unhurried


def fields(before: Document, after: Document) -> dict[str, tuple[Any, Any]]:
    (change,) = diff({"some/key": before}, {"some/key": after})
    return {field.path: (field.before, field.after) for field in change.fields}


@unhurried
@given(entry_sets())
def test_a_set_does_not_differ_from_itself(entries: dict[str, Document]) -> None:
    assert diff(entries, entries) == []


@unhurried
@given(entry_sets(), entry_sets())
def test_the_other_way_round_is_the_mirror(before: dict[str, Document], after: dict[str, Document]) -> None:
    mirror = {Kind.ADDED: Kind.REMOVED, Kind.REMOVED: Kind.ADDED, Kind.CHANGED: Kind.CHANGED}

    forth, back = diff(before, after), diff(after, before)

    assert [(change.key, mirror[change.kind]) for change in forth] == [(c.key, c.kind) for c in back]
    for one, other in zip(forth, back, strict=True):
        assert {(f.path, repr(f.before), repr(f.after)) for f in one.fields if not _is_order(f.path)} == {
            (f.path, repr(f.after), repr(f.before)) for f in other.fields if not _is_order(f.path)
        }


def _is_order(path: str) -> bool:
    # A newcomer is expected at the end, so coming and going are not mirrors in the order alone.
    return "order of" in path or not path


@unhurried
@given(documents(), documents())
def test_documents_differ_exactly_when_their_canonical_bytes_do(left: Document, right: Document) -> None:
    changes = diff({"k/1": left}, {"k/1": right})

    assert bool(changes) == (canonical.dumps(left) != canonical.dumps(right))
    assert all(change.fields for change in changes)


@unhurried
@given(documents(), documents())
def test_every_field_is_told_once_and_really_differs(left: Document, right: Document) -> None:
    for change in diff({"k/1": left}, {"k/1": right}):
        paths = [field.path for field in change.fields]
        assert len(paths) == len(set(paths))
        for field in change.fields:
            if not isinstance(field.before, Absent) and not isinstance(field.after, Absent):
                assert not same(field.before, field.after)


def test_what_people_change_most_comes_first_and_the_order_is_stable() -> None:
    keys = ["tier/a", "model/A", "gate/A", "prompt/b", "prompt/a", "interaction/A", PREMIUM]

    assert [change.key for change in diff({}, {key: {} for key in keys})] == [
        PREMIUM,
        "gate/A",
        "prompt/a",
        "prompt/b",
        "tier/a",
        "model/A",
        "interaction/A",
    ]


def test_one_variant_before_and_after_reads_as_one_object() -> None:
    before = configuration(variant(3, model="CLAUDE_3_5_SONNET", temperature=0.7))
    after = configuration(variant(4, model="CLAUDE_3_HAIKU", temperature=0.4))

    assert fields(before, after) == {
        "model": ("CLAUDE_3_5_SONNET", "CLAUDE_3_HAIKU"),
        "temperature": (0.7, 0.4),
        "version": (3, 4),
    }


def test_several_variants_are_compared_under_their_version_number() -> None:
    before = configuration(variant(3))
    after = configuration(
        variant(3, ranges=[[0, 90_000]]), variant(4, temperature=0.2, ranges=[[90_000, 100_000]])
    )

    found = fields(before, after)

    assert found["version 3 · ranges"] == ([[0, 100_000]], [[0, 90_000]])
    assert found["version 4 · temperature"] == (ABSENT, 0.2)
    assert not any(path.startswith("version 3 · ") for path in found if path != "version 3 · ranges")


def test_a_new_baseline_is_told() -> None:
    before = configuration(variant(3, ranges=[[0, 9]]), variant(4, ranges=[[9, 10]]))
    after = configuration(variant(4, ranges=[[9, 10]]), variant(3, ranges=[[0, 9]]))

    assert fields(before, after) == {"order of variants": (["3", "4"], ["4", "3"])}


def test_parameters_are_compared_under_their_name() -> None:
    before = interaction(parameter("user_name"), parameter("goals", type="list"))
    after = interaction(parameter("user_name"), parameter("goals", type="text"), parameter("tone"))

    found = fields(before, after)

    assert found["parameter goals · type"] == ("list", "text")
    assert found["parameter tone · name"] == (ABSENT, "tone")
    assert not any("user_name" in path for path in found)


def test_a_pinned_template_is_told_field_by_field() -> None:
    before = configuration(variant(prompt={"code": "coaching_response"}))
    after = configuration(variant(prompt={"code": "coaching_response", "version": 2, "sha256": "b" * 64}))

    assert fields(before, after) == {
        "prompt.sha256": (ABSENT, "b" * 64),
        "prompt.version": (ABSENT, 2),
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"a": None}, {}),
        ({"a": 1}, {"a": True}),
        ({"a": []}, {"a": None}),
        ({"variants": []}, {}),
        ({"variants": [{"version": 1}, {"version": 1, "x": 1}]}, {"variants": [{"version": 1}]}),
    ],
)
def test_what_looks_alike_but_is_not_the_same_is_a_change(before: Document, after: Document) -> None:
    (change,) = diff({"k/1": before}, {"k/1": after})

    assert change.fields


def test_the_same_number_written_differently_is_no_change() -> None:
    assert diff({"k/1": {"a": 1}}, {"k/1": {"a": 1.0}}) == []


def test_an_entry_that_comes_or_goes_names_all_its_fields() -> None:
    (added,) = diff({}, {"prompt/a": prompt(1)})
    (removed,) = diff({"gate/A": gate([0, 50_000])}, {})

    assert added.kind is Kind.ADDED
    assert {field.path for field in added.fields} == {"interaction", "version", "sha256", "size"}
    assert isinstance(removed, EntryChange)
    assert (removed.kind, removed.after) == (Kind.REMOVED, None)

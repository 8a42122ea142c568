import enum
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.runtime.entries import Parameter
from controlplane.runtime.errors import ParameterError
from controlplane.runtime.parameters import MAX_VALUE_BYTES, copy_values

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)
PLAIN = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=30,
)


class Text(str):
    """Text with a mind of its own."""

    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


class Level(enum.IntEnum):
    """A number with a name."""

    HIGH = 3


class Share(float):
    """A number of a kind of its own."""

    __slots__ = ()


class Pretender:
    """Says that it is text, as proxies of web frameworks do."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return str


class Row(Mapping[str, object]):
    """An object that is no dict, as a database's driver might return."""

    def __init__(self, fields: dict[str, object]) -> None:
        self.fields = fields

    def __getitem__(self, name: str) -> object:
        return self.fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)


def copied(value: object) -> Any:
    return copy_values({"value": [value]}, (Parameter(name="value", type="list"),))["value"][0]


def size_of(value: object) -> int:
    """What a value counts, said once more as plainly as possible."""
    if value is None or isinstance(value, bool):
        return 4
    if isinstance(value, int | float):
        return 8
    if isinstance(value, str):
        return len(value.encode()) + 1
    if isinstance(value, dict):
        return 2 + sum(size_of(name) + size_of(item) for name, item in value.items())
    assert isinstance(value, list)
    return 2 + sum(map(size_of, value))


def same_kinds(one: object, other: object) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return all(same_kinds(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return all(map(same_kinds, one, other))
    return True


def containers(value: object) -> set[int]:
    """The identities of all lists and objects in a value."""
    if isinstance(value, dict):
        return {id(value)}.union(*map(containers, value.values()))
    if isinstance(value, list):
        return {id(value)}.union(*map(containers, value))
    return set()


@given(PLAIN)
def test_a_copy_is_equal_and_shares_nothing_that_can_change(value: object) -> None:
    copy = copied(value)
    assert copy == value
    assert same_kinds(copy, value)
    assert not containers(copy) & containers(value)


@given(PLAIN, st.text(max_size=3))
def test_a_value_may_have_32_kib_and_not_a_byte_more(value: object, ending: str) -> None:
    room = MAX_VALUE_BYTES - size_of([value, ending])
    assert copied_pair(value, ending + "x" * room) is not None
    with pytest.raises(ParameterError, match="it has more than 32,768 bytes"):
        copied_pair(value, ending + "x" * (room + 1))


def copied_pair(*pair: object) -> object:
    return copy_values({"value": pair}, (Parameter(name="value", type="list"),))["value"]


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Text("a"), "a"),
        (Level.HIGH, 3),
        (Share(0.5), 0.5),
        (("a", ("b",)), ["a", ["b"]]),
        (Row({"a": Row({"b": 1})}), {"a": {"b": 1}}),
        ({Text("a"): Text("b")}, {"a": "b"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_nearly_plain_data_becomes_it(value: object, plain: object) -> None:
    copy = copied(value)
    assert copy == plain
    assert same_kinds(copy, plain)
    if isinstance(copy, dict):
        assert {type(name) for name in copy} == {str}


@pytest.mark.parametrize(
    "value",
    [b"a", {1, 2}, 1j, object(), Pretender(), range(3), iter("a")],
    ids=lambda one: type(one).__name__,
)
def test_what_is_not_plain_data_is_refused_by_its_type(value: object) -> None:
    with pytest.raises(ParameterError, match=f"{type(value).__name__} is not plain data"):
        copied(value)


def test_what_only_says_that_it_is_text_is_no_text() -> None:
    with pytest.raises(ParameterError, match="Pretender is not plain data"):
        copy_values({"value": Pretender()}, (Parameter(name="value", type="text"),))


@pytest.mark.parametrize("levels", [19, 20])
def test_lists_and_objects_stand_at_most_twenty_deep_in_each_other(levels: int) -> None:
    value: Any = "x"
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    if levels == 19:
        assert copied(value) == value
    else:
        with pytest.raises(ParameterError, match="nested too deeply"):
            copied(value)


def test_lists_that_multiply_are_refused_before_they_are_copied() -> None:
    value: list[Any] = ["x"]
    for _ in range(18):
        value = [value] * 10
    with pytest.raises(ParameterError, match="bytes"):
        copied(value)

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.runtime import canonical

json_data = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def reordered(value: object) -> object:
    if isinstance(value, dict):
        return {key: reordered(item) for key, item in reversed(value.items())}
    if isinstance(value, list):
        return [reordered(item) for item in value]
    return value


def test_keys_are_sorted_and_nothing_is_escaped_that_need_not_be() -> None:
    assert (
        canonical.dumps({"b": 1, "a": ["é", "😀", None, True]}) == '{"a":["é","😀",null,true],"b":1}'.encode()
    )


@given(json_data)
def test_what_is_written_reads_as_the_same(value: object) -> None:
    assert canonical.loads(canonical.dumps(value)) == value


@given(json_data)
def test_the_order_of_keys_does_not_show(value: object) -> None:
    assert canonical.dumps(reordered(value)) == canonical.dumps(value)


@pytest.mark.parametrize(("one", "other"), [(1.0, 1), (-0.0, 0), (100000.0, 100_000), ([2.0], (2,))])
def test_values_that_are_equal_have_equal_bytes(one: object, other: object) -> None:
    assert canonical.dumps(one) == canonical.dumps(other)


@given(json_data)
def test_what_is_written_is_canonical(value: object) -> None:
    assert canonical.is_canonical(canonical.dumps(value))


@given(json_data, st.data())
def test_the_fast_check_says_what_reading_and_writing_again_says(value: object, data: st.DataObject) -> None:
    spelled = data.draw(st.sampled_from([canonical.dumps(value), json.dumps(value).encode()]))
    place = data.draw(st.integers(0, len(spelled)))
    changed = (
        spelled[:place] + data.draw(st.sampled_from([b"", b" ", b"0", b".0", b"e1", b"-"])) + spelled[place:]
    )
    try:
        wanted = canonical.dumps(canonical.loads(changed)) == changed
    except ValueError:
        with pytest.raises(ValueError, match=r".+"):
            canonical.is_canonical(changed)
    else:
        assert canonical.is_canonical(changed) == wanted


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b'{"a":0.1,"b":[1]}', True), (b"1e-07", True), (b"1e-7", False), (b"1e+16", True), (b"1e16", False), (b"1.0", False),
        (b"-0", False), (b"-0.0", False), (b'"\\u0061"', False), (b'"\\u000B"', False), (b'"\\/"', False), (b" 1", False),
        (b'{"b":1,"a":1}', False), (b"9223372036854775807", True), (b'"12345678901234567890"', True), (b"0.30000000000000004", True),
        (b"[" * 59 + b"]" * 59, True), ('"ü\x7f"'.encode(), True),
    ],
)  # fmt: skip
def test_bytes_are_canonical_or_not(data: bytes, wanted: bool) -> None:
    assert canonical.is_canonical(data) is wanted


@pytest.mark.parametrize(
    "data", [b"9223372036854775808", b"1" * 5000, b"1e400", b"[" * 61 + b"]" * 61, b"[" * 9_999, b'{"a":1,"a":1}', b'"\\ud800"', b"NaN", b"\xff", b""],
    ids=lambda data: ascii(data[:20]),
)  # fmt: skip
def test_bytes_that_hold_what_no_document_may_hold_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        canonical.is_canonical(data)


def test_true_is_not_one() -> None:
    assert canonical.dumps(True) != canonical.dumps(1)


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), {1: "a"}, {True: "a"}, {None: 1}, 2**63, -(2**63), "\ud800", {"\udfff": 1}, b"a", {1, 2}, object()],
)  # fmt: skip
def test_what_json_cannot_hold_exactly_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        canonical.dumps(value)


def test_bottomless_nesting_is_refused_both_ways() -> None:
    value: object = 1
    for _ in range(10_000):
        value = [value]
    with pytest.raises(ValueError, match="deep"):
        canonical.dumps(value)
    with pytest.raises(ValueError, match="deep"):
        canonical.loads("[" * 10_000 + "]" * 10_000)


@pytest.mark.parametrize("text", ['{"a":1,"a":1}', '{"b":{"a":1,"a":2}}', "NaN", '{"a":Infinity}', "{", ""])
def test_what_two_readers_could_read_differently_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        canonical.loads(text)


def test_the_digest_is_that_of_any_other_tool() -> None:
    assert canonical.digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert json.loads(canonical.dumps({"a": 0.1})) == {"a": 0.1}

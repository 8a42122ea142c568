import itertools
import json
import math
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.runtime.bucketing import ALGORITHM, ALGORITHMS, BUCKETS, bucket, hash_of, owns, size
from controlplane.runtime.resolver import Request, resolve
from tests.runtime import releases, strategies

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "bucketing.md"
FILES = [json.loads((HERE / "golden" / name).read_text()) for name in ("bucketing.json", "bucketing_v2.json")]
VECTORS = [{**vector, "algorithm": each["algorithm"]} for each in FILES for vector in each["vectors"]]
SALTS = [f"{number:016x}" for number in range(50)]
GROUPS = json.loads((HERE / "golden" / "vectors.json").read_text())
"""Units with their buckets and variants, to be agreed to by whoever writes this in another language."""


def chi_square(counts: list[int]) -> float:
    expected = sum(counts) / len(counts)
    return sum((count - expected) ** 2 / expected for count in counts)


def critical(freedom: int) -> float:
    """The value that chance exceeds once in a thousand times fifty (Wilson and Hilferty's approximation)."""
    return freedom * (1 - 2 / (9 * freedom) + 4.107 * math.sqrt(2 / (9 * freedom))) ** 3


def buckets(salt: str, units: Sequence[str], *, kind: str = "user", algorithm: str = ALGORITHM) -> list[int]:
    return [bucket(salt, kind, unit, algorithm=algorithm) for unit in units]


@cache
def users(count: int) -> tuple[str, ...]:
    return tuple(f"user-{number}" for number in range(count))


@cache
def placed(salt: str, algorithm: str) -> list[int]:
    return buckets(salt, users(4000), algorithm=algorithm)


def dependence(ones: Sequence[int], others: Sequence[int]) -> float:
    """Chi-square of whether one bucketing says anything about another, in a table of ten by ten bands."""
    pairs = Counter((one // 10_000, other // 10_000) for one, other in zip(ones, others, strict=True))
    rows = Counter(one // 10_000 for one in ones)
    columns = Counter(other // 10_000 for other in others)
    total = 0.0
    for row, column in itertools.product(range(10), repeat=2):
        expected = rows[row] * columns[column] / len(ones)
        total += (pairs[row, column] - expected) ** 2 / expected
    return total


@pytest.mark.parametrize(
    "vector", VECTORS, ids=lambda vector: f"{vector['algorithm']}-{ascii(vector['unit'])[:24]}"
)
def test_the_frozen_vectors_do_not_move(vector: dict[str, Any]) -> None:
    asked = {**vector}
    assert asked.pop("bucket") == bucket(**asked)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_there_are_vectors_at_every_edge_that_a_wrong_comparison_would_show(algorithm: str) -> None:
    (vectors,) = [each["vectors"] for each in FILES if each["algorithm"] == algorithm]
    assert {0, 1, 9_999, 10_000, 10_001, 49_999, 50_000, BUCKETS - 1} <= {each["bucket"] for each in vectors}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "ef46db3751d8e999"),
        (b"xxhash", "32dd38952c4bc720"),
        (b"Nobody inspects the spammish repetition", "fbcea83c8a378bf1"),
    ],
)
def test_v2_is_the_hash_that_is_published_as_xxh64(data: bytes, expected: str) -> None:
    assert f"{hash_of('v2')(data):016x}" == expected


def test_the_javascript_of_the_page_gives_the_same_2000_buckets() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: the page's JavaScript was not run")
    drawn = random.Random(4711)
    units = [str(vector["unit"]) for vector in FILES[1]["vectors"]]
    units += [
        "".join(drawn.choices("aé目😀\x00-7", k=drawn.randrange(1, 90))) for _ in range(2000 - len(units))
    ]
    asked = [(drawn.choice(SALTS), drawn.choice(["user", "tenant", "conversation"]), unit) for unit in units]
    blocks = re.findall(r"```javascript\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (code,) = [block for block in blocks if "function bucket(" in block]
    answer = "\nconst asked = JSON.parse(require('fs').readFileSync(0));"
    answer += "console.log(JSON.stringify(asked.map(([salt, kind, unit]) => bucket(salt, kind, unit))));"
    ran = subprocess.run(
        [node, "-e", code + answer], input=json.dumps(asked).encode(), capture_output=True, check=True
    )
    assert json.loads(ran.stdout) == [bucket(*each, algorithm="v2") for each in asked]


def test_there_are_more_than_2000_vectors_of_every_shape() -> None:
    assert sum(len(group["vectors"]) for group in GROUPS) >= 2_000
    assert {group["algorithm"] for group in GROUPS} == set(ALGORITHMS)
    assert {group["unit_kind"] for group in GROUPS} == {"user", "tenant", "conversation"}
    assert {len(group["variants"]) for group in GROUPS} == {2, 3, 4, 5}
    assert any(
        first > last for group in GROUPS for each in group["variants"] for first, last in each["ranges"]
    )


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group["salt"])
def test_the_runtime_gives_every_vector_its_bucket_and_its_variant(group: dict[str, Any]) -> None:
    documents = releases.documents()
    rollout = documents["configuration/ROLLOUT/default/*"]
    bare = {name: value for name, value in rollout["variants"][0].items() if name != "effective_from"}
    rollout["salt"], rollout["algorithm"], rollout["unit"] = (
        group["salt"],
        group["algorithm"],
        group["unit_kind"],
    )
    rollout["variants"] = [{**bare, **each} for each in group["variants"]]
    live = releases.load(documents)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    found = [resolve(live, Request("ROLLOUT", unit=unit), now=now) for unit, _, _ in group["vectors"]]
    assert [[each.request.unit, each.bucket, each.variant.version] for each in found] == group["vectors"]


def agrees(*command: str) -> None:
    ran = subprocess.run(
        [*command, str(HERE / "golden" / "vectors.json")], capture_output=True, check=False, text=True
    )
    count = sum(len(group["vectors"]) for group in GROUPS)
    assert (ran.stdout, ran.returncode) == (f"checked {count}\n", 0), ran.stderr


def test_javascript_written_from_the_page_agrees_on_every_vector() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: the vectors were not checked in JavaScript")
    agrees(node, str(HERE / "golden" / "check.mjs"))


def test_another_python_agrees_on_every_vector() -> None:
    other = other_python()
    agrees(other or sys.executable, "-S", str(HERE / "golden" / "check.py"))
    if other is None:
        pytest.skip("no other version of Python is on the PATH: the vectors were checked with this one only")


def other_python() -> str | None:
    """The newest other version of Python on this machine."""
    for minor in reversed(range(8, 20)):
        name = f"python3.{minor}"
        found = Path(shutil.which(name) or "") if minor != sys.version_info.minor else Path()
        if found.parent.name == "shims":  # pyenv's: it would only say that the version is not chosen here
            versions = found.parents[1] / "versions"
            found = next(versions.glob(f"3.{minor}.*/bin/{name}"), Path())
        if found.is_file():
            return str(found)
    return None


def test_another_process_with_another_hash_seed_gives_the_same_buckets() -> None:
    code = (
        "from controlplane.runtime import bucket;"
        "print([bucket('s', 'user', f'u-{n}', algorithm=a) for n in range(100) for a in ('v1', 'v2')])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1", "4711")
    }
    expected = [bucket("s", "user", f"u-{n}", algorithm=a) for n in range(100) for a in ALGORITHMS]
    assert outputs == {f"{expected}\n".encode()}


@given(
    strategies.salts(),
    st.sampled_from(["user", "tenant"]),
    st.text(min_size=1),
    st.sampled_from(ALGORITHMS),
)
def test_every_unit_has_a_bucket_in_range(salt: str, kind: str, unit: str, algorithm: str) -> None:
    assert 0 <= bucket(salt, kind, unit, algorithm=algorithm) < BUCKETS


@pytest.mark.parametrize(("algorithm", "expected"), [("v1", 97_046), ("v2", 76_625)])
def test_half_a_surrogate_pair_is_hashed_as_its_three_bytes(algorithm: str, expected: int) -> None:
    assert bucket("s", "user", "half a pair \ud83d", algorithm=algorithm) == expected
    hashed = hash_of(algorithm)(f"{algorithm}\0s\0user\0half a pair ".encode() + b"\xed\xa0\xbd")
    assert hashed * BUCKETS >> 64 == expected


@pytest.mark.parametrize("unit", [7, 7.0, True, b"7", None, ["7"]])
def test_a_unit_that_is_not_a_string_is_refused(unit: str) -> None:
    with pytest.raises(TypeError, match="string"):
        bucket("s", "user", unit, algorithm=ALGORITHM)


def test_an_empty_unit_has_no_bucket() -> None:
    with pytest.raises(ValueError, match="empty"):
        bucket("s", "user", "", algorithm=ALGORITHM)


def test_an_unknown_algorithm_is_no_guess() -> None:
    with pytest.raises(KeyError, match="v3"):
        bucket("s", "user", "u-1", algorithm="v3")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    ("one", "other"), [("A", "a"), ("é", "e\u0301"), ("7", "07"), ("u", "u "), ("\u212b", "\u00c5")]
)
def test_ids_that_look_alike_are_different_units(one: str, other: str, algorithm: str) -> None:
    first, second = buckets("1f4b8a5ce0d29376", [one, other], algorithm=algorithm)
    assert first != second


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_kind_of_unit_is_part_of_the_hash(algorithm: str) -> None:
    kinds = ("user", "tenant", "conversation")
    assert len({bucket("s", kind, "42", algorithm=algorithm) for kind in kinds}) == 3


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_buckets_are_uniform_for_many_salts(algorithm: str) -> None:
    worst = 0.0
    for salt in SALTS:
        counts = Counter(number // 1000 for number in placed(salt, algorithm))
        worst = max(worst, chi_square([counts[band] for band in range(100)]))
    assert worst < critical(99)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("percent", [1, 10, 50])
def test_variants_are_uniform_among_those_whom_a_gate_lets_in(percent: int, algorithm: str) -> None:
    units = users(200_000 // percent)
    inside = buckets("gate0000gate0000", units, algorithm=algorithm)
    included = [unit for unit, number in zip(units, inside, strict=True) if number < percent * 1000]
    chosen = buckets("1f4b8a5ce0d29376", included, algorithm=algorithm)
    counts = Counter(number // 10_000 for number in chosen)
    assert len(counts) == 10
    assert chi_square([counts[band] for band in range(10)]) < critical(9)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_salt_says_anything_about_another(algorithm: str) -> None:
    found = [placed(salt, algorithm) for salt in SALTS[:11]]
    # Neighbouring salts, which differ in one character, and some that are far apart: 55 pairs.
    worst = max(dependence(one, other) for one, other in itertools.combinations(found, 2))
    assert worst < critical(81)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("share", "other"), [(10_000, 50_000), (50_000, 50_000), (1_000, 25_000)])
def test_whom_a_rollout_takes_says_nothing_about_how_another_splits_them(
    share: int, other: int, algorithm: str
) -> None:
    """All pairs of 50 salts: how many are in both the one's share and the other's, against what chance gives."""
    ours = [(mask, mask.bit_count()) for mask in (inside(salt, share, algorithm) for salt in SALTS)]
    theirs = [(mask, mask.bit_count()) for mask in (inside(salt, other, algorithm) for salt in SALTS)]
    total = len(users(4000))
    squares = []
    for (one, ones), (two, twos) in (
        (ours[left], theirs[right]) for left, right in itertools.permutations(range(len(SALTS)), 2)
    ):
        variance = ones * twos * (total - ones) * (total - twos) / (total**2 * (total - 1))
        squares.append(((one & two).bit_count() - ones * twos / total) ** 2 / variance)
    assert len(squares) == 2_450
    assert max(squares) < 5.5**2
    assert sum(squares) < critical(len(squares))


def inside(salt: str, share: int, algorithm: str) -> int:
    """Those of the users whose bucket is below a share, one bit for each."""
    return sum(1 << place for place, number in enumerate(placed(salt, algorithm)) if number < share)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_kind_of_unit_says_anything_about_another(algorithm: str) -> None:
    kinds = ("user", "tenant", "conversation")
    found = [buckets("s", users(20_000), kind=kind, algorithm=algorithm) for kind in kinds]
    worst = max(dependence(one, other) for one, other in itertools.combinations(found, 2))
    assert worst < critical(81)


def test_neither_algorithm_says_anything_about_the_other() -> None:
    for salt in SALTS[:5]:
        first, second = (buckets(salt, users(20_000), algorithm=algorithm) for algorithm in ALGORITHMS)
        assert dependence(first, second) < critical(81)
        assert sum(map(int.__eq__, first, second)) < 10  # one in 100,000 meets by chance


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_next_id_shares_nothing_with_the_one_before(algorithm: str) -> None:
    hashes = [hash_of(algorithm)(f"{algorithm}\0s\0user\0{unit}".encode()) for unit in users(20_000)]
    changed = [one ^ other for one, other in itertools.pairwise(hashes)]
    deviation = math.sqrt(0.25 / len(changed))
    for bit in range(64):
        share = sum(each >> bit & 1 for each in changed) / len(changed)
        assert abs(share - 0.5) < 5 * deviation, bit
    found = buckets("s", users(20_000), algorithm=algorithm)
    assert dependence(found[:-1], found[1:]) < critical(81)


@pytest.mark.parametrize(
    ("ranges", "number", "inside"),
    [
        ([[0, 10]], 0, True),
        ([[0, 10]], 9, True),
        ([[0, 10]], 10, False),
        ([[10, 0]], 9, True),
        ([[10, 0]], 10, False),
        ([[100_000, 99_999]], 99_999, True),
        ([[100_000, 99_999]], 99_998, False),
        ([[5, 5]], 5, False),
        ([], 0, False),
        ([[0, 10], [30, 20]], 20, True),
        ([[0, 10], [30, 20]], 15, False),
    ],
)
def test_the_smaller_number_is_the_first_bucket_and_the_larger_is_outside(
    ranges: list[list[int]], number: int, inside: bool
) -> None:
    assert owns(ranges, number) is inside


@given(strategies.shares(3), st.integers(0, BUCKETS - 1))
def test_each_bucket_has_one_owner(shares: list[list[list[int]]], number: int) -> None:
    assert sum(owns(ranges, number) for ranges in shares) == 1
    assert sum(map(size, shares)) == BUCKETS

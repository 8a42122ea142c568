"""Everything that is wrong with a set of entries, in words, at once.

Saving, publishing, the worker and a client that is about to serve a release run this same code: what validates loads,
resolves and renders. Types are checked by decoding each entry straight from its bytes into its struct, meaning by `rules`.

Where a release follows one that has no problems, only what differs is looked at, and what names anything that differs
(`Checked`); the answer is the same as that of looking at everything.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from controlplane.runtime import canonical, entries, profile, renderer, rules, snapshot
from controlplane.runtime.differences import concerned
from controlplane.runtime.errors import PromptProfileError
from controlplane.runtime.rules import Surroundings
from controlplane.runtime.shapes import type_problems

Raw = bytes | msgspec.Raw
Raws = Mapping[str, Raw]
"""The entries of a release by key, each as the canonical bytes of its document."""


class Limits(NamedTuple):
    """How much a release may hold."""

    entries: int
    entry_bytes: int
    snapshot_bytes: int


PUBLISH: Final = Limits(entries=100_000, entry_bytes=128 * 1024, snapshot_bytes=32 * 1024 * 1024)
"""What may be published."""
READ: Final = Limits(entries=200_000, entry_bytes=256 * 1024, snapshot_bytes=snapshot.READ_LIMIT)
"""What a reader takes: twice as much, so that raising the other needs no haste with the readers."""


class Problem(NamedTuple):
    """One thing that is wrong: of which entry, in which field ("variants[0].model", "" for the whole), and what to do."""

    key: str
    field: str
    message: str


class Body(NamedTuple):
    """A prompt body as the rules see it: the names it takes from outside, sorted, and what is wrong with it, if anything."""

    names: tuple[str, ...]
    problem: str | None


class Checked(NamedTuple):
    """Entries and bodies of a release that is known to have no problems."""

    documents: Raws
    bodies: Mapping[str, str]


Inspect = Callable[[str, str], Body]


def validate(
    documents: Mapping[str, Mapping[str, Any]], bodies: Mapping[str, str], *, limits: Limits = PUBLISH
) -> list[Problem]:
    """Return all problems of a release's entries and prompt bodies, ordered by key; none means that it can be served."""
    raws, found = written(documents)
    return _ordered([*found, *validate_raws(raws, bodies, limits=limits)])


def written(documents: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, bytes], list[Problem]]:
    """Return documents as canonical bytes, sorted by key, and a problem for each that cannot be written so."""
    raws: dict[str, bytes] = {}
    found: list[Problem] = []
    for key in sorted(documents):
        try:
            key.encode()
            raws[key] = canonical.dumps(documents[key])
        except ValueError as error:
            found.append(Problem(key, "", f"this is not plain data: {error}"))
    return raws, found


def inspect_body(_sha256: str, body: str) -> Body:
    """Return the names a body uses and what is wrong with it."""
    return _inspect(body)


def validate_raws(
    documents: Raws,
    bodies: Mapping[str, str],
    *,
    limits: Limits = PUBLISH,
    checked: Checked | None = None,
    inspect: Inspect = inspect_body,
    size: int | None = None,
) -> list[Problem]:
    """Return what `validate` does, for entries that are bytes already: of stored texts, or of a snapshot.

    `checked` is a release without problems, in the same limits: what is the same in both is not looked at again.
    `inspect` says what is wrong with a body, for a caller that compiles it anyway. `size` is that of the snapshot in bytes,
    where it is known.
    """
    release = _Release(documents, bodies, limits, inspect)
    surroundings = Surroundings(release)
    keys: Collection[str] = documents.keys()
    hashes: Collection[str] = bodies.keys()
    if checked is not None:
        keys, hashes = concerned(checked.documents, checked.bodies, documents, bodies)
    found = _size_problems(len(documents), size or snapshot.size_of(documents, bodies), limits)
    for key in keys:
        entry, problems = release.read(key)
        found += problems
        if entry is not None and (told := rules.problems_of(surroundings, key, entry)):
            found += [Problem(key, *problem) for problem in told]
    for sha256 in hashes:
        if (problem := _body_problem(sha256, bodies[sha256], inspect)) is not None:
            found.append(Problem(f"body/{sha256}", "", problem))
    return _ordered(found)


def _ordered(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: problem.key)


def _size_problems(count: int, size: int, limits: Limits) -> list[Problem]:
    found = []
    if count > limits.entries:
        found.append(
            Problem("", "", f"the release has {count:,} entries, and {limits.entries:,} is the limit")
        )
    if size > limits.snapshot_bytes:
        found.append(
            Problem("", "", f"the release has {size:,} bytes, and {limits.snapshot_bytes:,} is the limit")
        )
    return found


def _body_problem(sha256: str, body: str, inspect: Inspect) -> str | None:
    if (problem := inspect(sha256, body).problem) is not None:
        return problem
    if canonical.digest(body.encode()) != sha256:
        return "the text is not the one its name says: the SHA-256 differs"
    if profile.normalise(body) != body:
        return "the text has line ends of another kind: save it again"
    return None


@lru_cache(maxsize=2048)
def _inspect(body: str) -> Body:
    # Remembered, because bodies do not change and parsing one takes milliseconds.
    try:
        return Body(tuple(sorted(renderer.used_variables(body))), None)
    except PromptProfileError as error:
        return Body((), str(error))


Reading = tuple[entries.Entry | None, Sequence[Problem]]
_READ: Final = {kind: msgspec.json.Decoder(struct).decode for kind, struct in entries.STRUCTS.items()}


class _Release:
    """A release as the rules see it (`rules.Known`): entries are decoded when first asked for."""

    def __init__(self, documents: Raws, bodies: Mapping[str, str], limits: Limits, inspect: Inspect) -> None:
        self._documents = documents
        self._bodies = bodies
        self._limits = limits
        self._inspect = inspect
        self._readings: dict[str, Reading] = {}
        self._bodies_seen: dict[str, Body] = {}
        self._keys: list[str] | None = None
        self._heads: set[str] = set()

    def read(self, key: str) -> Reading:
        """Return an entry, or what is wrong with its bytes. Configurations are not kept: there are thousands."""
        if key.startswith("configuration/"):
            return self._decode(key)
        reading = self._readings.get(key)
        if reading is None:
            reading = self._readings[key] = self._decode(key)
        return reading

    def entry(self, key: str) -> entries.Entry | None:
        return self.read(key)[0] if key in self._documents else None

    def codes(self, kind: str) -> Sequence[str]:
        keys = (key for key in self._documents if key.startswith(f"{kind}/"))
        return sorted(key.partition("/")[2] for key in keys if self.entry(key) is not None)

    def used_names(self, sha256: str) -> Collection[str] | None:
        body = self._bodies.get(sha256)
        if body is None:
            return None
        seen = self._bodies_seen.get(sha256)
        if seen is None:
            seen = self._bodies_seen[sha256] = self._inspect(sha256, body)
        return seen.names

    def body_size(self, sha256: str) -> int:
        return len(self._bodies[sha256].encode(errors="surrogatepass"))

    def has_salt(self, interaction: str, salt: str) -> bool:
        # Canonical bytes hold a text in one spelling only: what does not hold it need not be decoded.
        spelled = b'"salt":' + msgspec.json.encode(salt)
        return any(
            isinstance(entry := self.entry(key), entries.Configuration) and entry.salt == salt
            for key in self._rows_of(interaction)
            if spelled in bytes(self._documents[key])
        )

    def _rows_of(self, interaction: str) -> Sequence[str]:
        if self._keys is None:
            self._keys = sorted(self._documents)
        # "0" is the character that follows the slash.
        start = bisect_left(self._keys, f"configuration/{interaction}/")
        return self._keys[start : bisect_left(self._keys, f"configuration/{interaction}0")]

    def _decode(self, key: str) -> Reading:
        raw = self._documents[key]
        try:
            self._check_key(key)
        except ValueError as error:
            return None, [Problem(key, "", str(error))]
        entry, found = self._decoded(key, raw)
        if len(raw) <= self._limits.entry_bytes:
            return entry, found
        # Decoded all the same: what names it is not wrong as well.
        message = f"{len(raw):,} bytes are more than the {self._limits.entry_bytes:,} that one entry may have"
        return entry, [Problem(key, "", message), *found]

    def _decoded(self, key: str, raw: Raw) -> Reading:
        kind = key.partition("/")[0]
        try:
            entry: entries.Entry = _READ[kind](raw)
            if canonical.is_canonical(bytes(raw)):
                return entry, ()
        except msgspec.ValidationError:
            return None, _type_problems(key, kind, bytes(raw))
        except (ValueError, RecursionError) as error:
            return None, [Problem(key, "", f"this cannot be read: {error}")]
        return None, [
            Problem(key, "", "not in canonical form: sorted keys, no spaces, numbers as short as can be")
        ]

    def _check_key(self, key: str) -> None:
        """Raise `ValueError` for a key that no release may hold; rows that differ in the tenant alone are checked by it alone."""
        head, _, tenant = key.rpartition("/")
        if head in self._heads and entries.TENANT.fullmatch(tenant):
            return
        found = entries.parse_key(key)
        if found.kind == "configuration" and found.parts[0] != entries.ANY:
            self._heads.add(head)


def _type_problems(key: str, kind: str, raw: bytes) -> list[Problem]:
    # The decoder stops at the first error and is fast; only what it refuses is gone through field by field.
    try:
        found = type_problems(entries.STRUCTS[kind], canonical.loads(raw))
        return [Problem(key, *problem) for problem in found] or [Problem(key, "", "this cannot be read")]
    except ValueError as error:
        return [Problem(key, "", f"this cannot be read: {error}")]

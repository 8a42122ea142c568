"""A release as one immutable object.

The bytes are canonical JSON `{"entries": {key: document}, "prompts": {sha256: body}, "schema": 1}`, named by their
SHA-256. No release number inside: the same content has the same bytes, whichever release carries it.

Loading does not decode: it slices the bytes by key, so that a large release is ready at once and a refresh stalls nobody.
An entry is decoded when first asked for and kept in a plain dict without a lock: two threads may decode the same entry at
the same time, the results are equal, and one of them stays.
"""

from collections.abc import Callable, KeysView, Mapping
from typing import Any, Final, TypeVar

import msgspec

from controlplane.runtime import canonical, entries
from controlplane.runtime.entries import Configuration, Gate, Interaction, Model, PromptEntry, Tier
from controlplane.runtime.errors import SnapshotRefused, TemplateNotFoundError

SCHEMA: Final = 1
# Twice what may be published (`validate.PUBLISH`), so that raising the one needs no haste with the other.
READ_LIMIT: Final = 64 * 1024 * 1024


class _Outer(msgspec.Struct):
    """The bytes of a snapshot cut by key, in one pass."""

    entries: dict[str, msgspec.Raw]
    prompts: dict[str, msgspec.Raw]
    schema: int


_CUT: Final = msgspec.json.Decoder(_Outer)
_OUTER: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT: Final = msgspec.json.Decoder(str)
_NUMBER: Final = msgspec.json.Decoder(int)
_ENCODER: Final = msgspec.json.Encoder(order="sorted")

EntryT = TypeVar("EntryT", bound=entries.Entry)
DerivedT = TypeVar("DerivedT")


class Snapshot:
    """What is live in one environment at one release; safe to share between threads, never changed after loading."""

    __slots__ = (
        "_bodies",
        "_decoded",
        "_derived",
        "_documents",
        "_texts",
        "accepted",
        "environment",
        "release",
        "sha256",
        "size",
        "tables",
    )

    environment: str
    release: int
    sha256: str
    size: int
    accepted: bool
    """Whether it was checked as a whole and found right. Only `acceptance` sets it, and only once, from False to True."""

    tables: dict[str, Any]
    """What the resolver worked out, by interaction. It alone reads and writes here: see `runtime/tables.py`."""

    def __init__(
        self,
        documents: dict[str, msgspec.Raw],
        bodies: dict[str, msgspec.Raw],
        *,
        data: bytes,
        environment: str,
        release: int,
        sha256: str | None = None,
    ) -> None:
        self.environment = environment
        self.release = release
        self.sha256 = sha256 or canonical.digest(data)
        self.size = len(data)
        self.accepted = False
        self._documents = documents
        self._bodies = bodies
        self._decoded: dict[str, entries.Entry] = {}
        self._texts: dict[str, str] = {}
        self._derived: dict[object, Any] = {}
        self.tables = {}

    @classmethod
    def load(
        cls,
        data: bytes,
        *,
        release: int,
        environment: str,
        limit: int = READ_LIMIT,
        sha256: str | None = None,
    ) -> "Snapshot":
        """Return the snapshot in these bytes; raises `SnapshotRefused` and nothing else, whatever the bytes are.

        The outer shape is checked here, each entry when first used. Who loads bytes that he did not build himself comes
        through `acceptance.accept`. `sha256` spares the hashing to who has hashed the bytes already.
        """
        if len(data) > limit:
            raise SnapshotRefused(f"{len(data):,} bytes are more than the limit of {limit:,}")
        documents, bodies = _cut(data) or _cut_slowly(data)
        return cls(documents, bodies, data=data, environment=environment, release=release, sha256=sha256)

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._documents)

    def __contains__(self, key: object) -> bool:
        """Say whether the release has an entry of this key."""
        return key in self._documents

    def __repr__(self) -> str:
        """Return environment, release and the beginning of the hash."""
        return f"<Snapshot {self.environment} release {self.release} {self.sha256[:12]}>"

    def keys(self) -> KeysView[str]:
        """Return the keys of all entries, sorted."""
        return self._documents.keys()

    @property
    def raws(self) -> Mapping[str, msgspec.Raw]:
        """The bytes of all entries by key, sorted."""
        return self._documents

    def raw(self, key: str) -> bytes:
        """Return an entry's document as its bytes; raises `KeyError` for an unknown key."""
        return bytes(self._documents[key])

    def document(self, key: str) -> dict[str, Any]:
        """Return an entry's document as plain data; raises `KeyError` for an unknown key."""
        return _plain(key, self.raw(key))

    def documents(self) -> dict[str, dict[str, Any]]:
        """Return all documents as plain data; raises `SnapshotRefused` when one cannot be read."""
        return {key: self.document(key) for key in self._documents}

    def bodies(self) -> dict[str, str]:
        """Return all prompt texts by their hash; raises `SnapshotRefused` when one cannot be read."""
        return {sha256: self.body(sha256) for sha256 in self._bodies}

    def body(self, sha256: str) -> str:
        """Return a prompt's text; raises `TemplateNotFoundError` when the release does not hold it."""
        found = self._texts.get(sha256)
        if found is not None:
            return found
        if sha256 not in self._bodies:
            raise TemplateNotFoundError(sha256)
        try:
            text = _TEXT.decode(self._bodies[sha256])
        except ValueError as error:
            raise SnapshotRefused(f"the prompt body {sha256} cannot be read: {error}") from None
        self._texts[sha256] = text
        return text

    def configuration(self, key: str) -> Configuration | None:
        """Return the configuration under this whole key, as made by `entries.configuration_key`."""
        return self._entry(key, Configuration)

    def tier(self, code: str) -> Tier | None:
        """Return a tier."""
        return self._entry(entries.tier_key(code), Tier)

    def model(self, code: str) -> Model | None:
        """Return a model."""
        return self._entry(entries.model_key(code), Model)

    def interaction(self, code: str) -> Interaction | None:
        """Return an interaction."""
        return self._entry(entries.interaction_key(code), Interaction)

    def prompt(self, code: str) -> PromptEntry | None:
        """Return the live version of a prompt."""
        return self._entry(entries.prompt_key(code), PromptEntry)

    def gate(self, interaction: str) -> Gate | None:
        """Return the gate of an interaction; None means that everyone is in."""
        return self._entry(entries.gate_key(interaction), Gate)

    def derive(self, key: object, make: Callable[["Snapshot", Any], DerivedT]) -> DerivedT:
        """Return what `make(snapshot, key)` works out from this snapshot, calling it the first time only.

        It lives and goes with the snapshot. Keys must come from the snapshot, never from a request: nothing bounds
        their number.
        """
        found: DerivedT | None = self._derived.get(key)
        if found is None:
            found = self._derived.setdefault(key, make(self, key))
        return found

    def _entry(self, key: str, kind: type[EntryT]) -> EntryT | None:
        found = self._decoded.get(key)
        if found is None:
            data = self._documents.get(key)
            if data is None:
                return None
            found = self._decoded.setdefault(key, entries.decode(key, data))
        if not isinstance(found, kind):
            return None
        return found


Slices = dict[str, msgspec.Raw]


def build(documents: Mapping[str, Mapping[str, Any]], bodies: Mapping[str, str]) -> bytes:
    """Return the bytes of a snapshot; raises `ValueError` for data that no snapshot can hold.

    The same content gives the same bytes, in whatever order it comes. Whether it makes sense is for `validate` to say.
    """
    for sha256, body in bodies.items():
        if canonical.digest(body.encode()) != sha256:
            raise ValueError(f"a prompt body is filed under {sha256}, which is not its SHA-256")
    return canonical.dumps({"schema": SCHEMA, "entries": documents, "prompts": bodies})


def assemble(documents: Mapping[str, bytes], bodies: Mapping[str, str]) -> bytes:
    """Return what `build` does, of documents that are written in canonical form already."""
    return b"".join(
        (
            b'{"entries":',
            _object(documents),
            b',"prompts":',
            _object({sha256: _ENCODER.encode(body) for sha256, body in bodies.items()}),
            b',"schema":%d}' % SCHEMA,
        )
    )


def size_of(documents: Mapping[str, bytes | msgspec.Raw], bodies: Mapping[str, str]) -> int:
    """Return how many bytes a snapshot of these documents, in canonical form already, and bodies has."""
    return _size(documents, {sha256: _spelled(body) for sha256, body in bodies.items()})


def _spelled(body: str) -> bytes:
    try:
        return _ENCODER.encode(body)
    except UnicodeEncodeError:  # no snapshot can hold it; how large it would be does not matter
        return body.encode(errors="replace")


def _object(members: Mapping[str, bytes]) -> bytes:
    return b"{%s}" % b",".join(b"%s:%s" % (_ENCODER.encode(key), members[key]) for key in sorted(members))


def _size(documents: Mapping[str, bytes | msgspec.Raw], bodies: Mapping[str, bytes | msgspec.Raw]) -> int:
    return _FRAME + _object_size(documents) + _object_size(bodies)


def _object_size(members: Mapping[str, bytes | msgspec.Raw]) -> int:
    # The keys as a list have the same marks as in the object, but for a colon behind each.
    return len(_ENCODER.encode(list(members))) + len(members) + sum(map(len, members.values()))


_FRAME: Final = len(b'{"entries":,"prompts":,"schema":%d}' % SCHEMA)


def _cut(data: bytes) -> tuple[Slices, Slices] | None:
    """Cut a snapshot by key in one pass; None when its outer form is not to the byte what `build` writes.

    No bytes are copied to find that out. What is decoded is never longer than the bytes it was decoded from, so it has
    their length only when there was nothing else in them: no spaces, no key twice, no longer spelling, no other field.
    """
    try:
        outer = _CUT.decode(data)
    except (ValueError, RecursionError, MemoryError):
        return None
    right = (
        data.startswith(b'{"entries":')
        and data.endswith(b',"schema":%d}' % SCHEMA)
        and _size(outer.entries, outer.prompts) == len(data)
        and _in_order(outer.entries)
        and _in_order(outer.prompts)
    )
    return (outer.entries, outer.prompts) if right else None


def _in_order(members: Slices) -> bool:
    keys = list(members)
    # A control character has two spellings of one length, \u000b and \u000B.
    return keys == sorted(keys) and b"\\u" not in _ENCODER.encode(keys)


def _cut_slowly(data: bytes) -> tuple[Slices, Slices]:
    """Cut a snapshot by key, saying what is wrong with it. Members that this reader does not know are passed over."""
    outer = _slices(data, "the snapshot")
    missing = {"schema", "entries", "prompts"} - outer.keys()
    if missing:
        raise SnapshotRefused(f"not a snapshot: it has no {' and no '.join(sorted(missing))}")
    _check_schema(outer["schema"])
    return _slices(bytes(outer["entries"]), "entries"), _slices(bytes(outer["prompts"]), "prompts")


def _slices(data: bytes, what: str) -> Slices:
    """Cut an object's bytes by key without decoding what is inside.

    Writing the slices again must give the same bytes: a key that stood there twice, other spacing or another order would
    not, and then two readers could see two different things under one hash.
    """
    try:
        found = _OUTER.decode(data)
    except (ValueError, RecursionError, MemoryError) as error:
        raise SnapshotRefused(f"{what} cannot be read: {error}") from None
    if _ENCODER.encode(found) != data:
        raise SnapshotRefused(f"{what} is not in canonical form: sorted keys, each once, no spaces")
    return found


def _check_schema(data: msgspec.Raw) -> None:
    try:
        schema = _NUMBER.decode(data)
    except ValueError:
        raise SnapshotRefused("the schema is not a number") from None
    if schema != SCHEMA:
        raise SnapshotRefused(f"schema {schema} is not known to this reader, which knows schema {SCHEMA}")


def _plain(key: str, data: bytes) -> dict[str, Any]:
    try:
        found = canonical.loads(data)
    except ValueError as error:
        raise SnapshotRefused(f"{key} cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise SnapshotRefused(f"{key} is not an object")
    return found

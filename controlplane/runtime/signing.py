"""Signatures under what is published (Ed25519, RFC 8032), so that a reader need not trust the store.

A pointer's signature covers its environment and its release, not the content alone: a good pointer cannot be shown in
another environment, and a changed one is not good. It does not stop somebody from showing an old pointer again; that is
why a reader also refuses a release older than the one it serves.

Readers take any number of public keys. To change keys: give the readers both, sign with the new one, and take the old one
away; `docs/operating.md` says when.

`cryptography` is imported when a key is given, never when this module is.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from controlplane.runtime import canonical
from controlplane.runtime.acceptance import PointerRefused
from controlplane.runtime.errors import ControlPlaneRuntimeError
from controlplane.runtime.stores.base import Pointer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PUBLIC_KEYS: Final = "CONTROLPLANE_PUBLIC_KEYS"
PUBLIC_KEYS_FILE: Final = "CONTROLPLANE_PUBLIC_KEYS_FILE"
SIGNING_KEY: Final = "CONTROLPLANE_SIGNING_KEY"
SIGNING_KEY_FILE: Final = "CONTROLPLANE_SIGNING_KEY_FILE"

_KEY_ID: Final = r"[A-Za-z0-9._-]{1,64}"
_KEY_BYTES: Final = 32
# What is signed begins with what it is, so that a signature under the one kind is none under the other.
_POINTER: Final = b"controlplane pointer 1\n"
_DOCUMENT: Final = b"controlplane document 1\n"
_POINTER_FIELDS: Final = (
    "environment",
    "release",
    "sha256",
    "size",
    "schema",
    "minimum_reader",
    "published_at",
    "allow_shrink",
    "key_id",
)


class SigningKeyError(ValueError):
    """A key cannot be used; the text names the variable and what is wanted, and never the key."""


class SignatureRefused(ControlPlaneRuntimeError):  # noqa: N818 - the name reads as what is raised
    """The signature is missing, of an unknown key, or not of these bytes; the text says which."""


class KeyPair(NamedTuple):
    """Both halves of a key, each as the variables hold it: `id:base64`."""

    signing: str
    """For `CONTROLPLANE_SIGNING_KEY`, where releases are published; a secret."""
    public: str
    """For `CONTROLPLANE_PUBLIC_KEYS`, where they are read."""


def new_key_pair(key_id: str) -> KeyPair:
    """A key that nobody has seen; raises `SigningKeyError` for an id that is none."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not re.fullmatch(_KEY_ID, key_id):
        raise SigningKeyError(f"not the id of a key: {key_id!r}; letters, digits, '.', '_' and '-' make one")
    key = Ed25519PrivateKey.generate()
    return KeyPair(
        signing=f"{key_id}:{base64.b64encode(key.private_bytes_raw()).decode()}",
        public=f"{key_id}:{base64.b64encode(key.public_key().public_bytes_raw()).decode()}",
    )


def signed_bytes(pointer: Pointer) -> bytes:
    """What a pointer's signature is made over: all of its fields but the signature, in canonical form."""
    fields = {name: getattr(pointer, name) for name in _POINTER_FIELDS}
    return _POINTER + canonical.dumps(fields)


def _document_bytes(document: Mapping[str, Any]) -> bytes:
    """What a document's signature is made over; whoever signs it has put its environment and version inside."""
    return _DOCUMENT + canonical.dumps({key: value for key, value in document.items() if key != "signature"})


class Verifier:
    """The public keys that a reader believes; without any, nothing has to be signed.

    >>> verifier = Verifier.from_environment(os.environ)
    >>> verifier.verify(pointer)
    """

    def __init__(self, keys: Mapping[str, bytes] | None = None) -> None:
        """Take public keys (32 bytes each) by their id; raises `SigningKeyError` for one that cannot be used."""
        self._keys = {key_id: _public_key(key_id, data) for key_id, data in (keys or {}).items()}

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Verifier":
        """The keys in `CONTROLPLANE_PUBLIC_KEYS`: `id:base64`, with commas between; raises `SigningKeyError`.

        `CONTROLPLANE_PUBLIC_KEYS_FILE` may name a file of the same instead. A file that is not there is an error: keys that
        were meant must not turn into no keys.
        """
        said = _one_of(environ, PUBLIC_KEYS, PUBLIC_KEYS_FILE)
        texts = [text for part in said.split(",") if (text := part.strip())]
        if said and not texts:
            raise SigningKeyError(f"{PUBLIC_KEYS} holds no key")
        keys = dict(_parse(PUBLIC_KEYS, text) for text in texts)
        if len(keys) != len(texts):
            raise SigningKeyError(f"{PUBLIC_KEYS} names a key twice")
        return cls(keys)

    @property
    def required(self) -> bool:
        """Whether what is read must be signed."""
        return bool(self._keys)

    def knows(self, key_id: object) -> bool:
        """Whether this is the id of one of the keys."""
        return key_id in self._keys

    def verify(self, pointer: Pointer) -> None:
        """Refuse (`PointerRefused`) a pointer that none of the keys has signed."""
        try:
            self._check(signed_bytes(pointer), pointer.key_id, pointer.signature)
        except SignatureRefused as refused:
            raise PointerRefused(f"release {pointer.release} is {refused}") from None

    def verify_document(self, document: Mapping[str, Any]) -> None:
        """Refuse (`SignatureRefused`) a JSON document that none of the keys has signed.

        Raises `ValueError` for one that is not plain data.
        """
        self._check(_document_bytes(document), document.get("key_id"), document.get("signature"))

    def _check(self, data: bytes, key_id: object, signature: object) -> None:
        if not self._keys:
            return
        if not isinstance(key_id, str) or not isinstance(signature, str):
            raise SignatureRefused("not signed, and a key is configured")
        key = self._keys.get(key_id)
        if key is None:
            raise SignatureRefused(f"signed with the key {key_id!r}, which is not known here")
        if not _fits(key, data, signature):
            raise SignatureRefused(f"not what the key {key_id!r} signed")


class Signer:
    """The key that a publisher signs with.

    >>> signer = Signer.from_environment(os.environ)
    >>> store.move_pointer(signer.sign(pointer) if signer else pointer)
    """

    def __init__(self, key_id: str, seed: bytes) -> None:
        """Take the 32 bytes that an Ed25519 key is made of; raises `SigningKeyError` when they are not."""
        self.key_id = key_id
        self._key = _signing_key(seed)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Signer | None":
        """The key in `CONTROLPLANE_SIGNING_KEY`, or in the file that `CONTROLPLANE_SIGNING_KEY_FILE` names.

        None without either; raises `SigningKeyError`.
        """
        text = _one_of(environ, SIGNING_KEY, SIGNING_KEY_FILE)
        return cls(*_parse(SIGNING_KEY, text)) if text else None

    @property
    def public(self) -> str:
        """The other half, as `CONTROLPLANE_PUBLIC_KEYS` wants it."""
        return f"{self.key_id}:{base64.b64encode(self._key.public_key().public_bytes_raw()).decode()}"

    def sign(self, pointer: Pointer) -> Pointer:
        """The same pointer, signed."""
        named = msgspec.structs.replace(pointer, key_id=self.key_id, signature=None)
        return msgspec.structs.replace(named, signature=self._signature(signed_bytes(named)))

    def sign_document(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The same JSON document, signed; raises `ValueError` for one that is not plain data."""
        named = {**document, "key_id": self.key_id}
        return {**named, "signature": self._signature(_document_bytes(named))}

    def _signature(self, data: bytes) -> str:
        return base64.b64encode(self._key.sign(data)).decode()


def _fits(key: "Ed25519PublicKey", data: bytes, signature: str) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(base64.b64decode(signature, validate=True), data)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _public_key(key_id: str, data: bytes) -> "Ed25519PublicKey":
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        raise SigningKeyError(
            f"{PUBLIC_KEYS} is set, and checking signatures needs the extra `signing`"
        ) from None
    try:
        return Ed25519PublicKey.from_public_bytes(data)
    except ValueError:
        raise SigningKeyError(f"the public key {key_id!r} is not an Ed25519 key of 32 bytes") from None


def _signing_key(seed: bytes) -> "Ed25519PrivateKey":
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError:
        raise SigningKeyError("a signing key is set, and signing needs the extra `signing`") from None
    try:
        return Ed25519PrivateKey.from_private_bytes(seed)
    except ValueError:
        raise SigningKeyError("the signing key is not an Ed25519 key of 32 bytes") from None


def _parse(variable: str, text: str) -> tuple[str, bytes]:
    key_id, colon, encoded = text.partition(":")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not colon or not re.fullmatch(_KEY_ID, key_id) or len(data) != _KEY_BYTES:
        raise SigningKeyError(f"{variable} must hold an id, a colon and a key of 32 bytes in base64")
    return key_id, data


def _one_of(environ: Mapping[str, str], name: str, file_name: str) -> str:
    """What a variable says, or the first line of the file that the other variable names."""
    text, path = environ.get(name, "").strip(), environ.get(file_name, "").strip()
    if text and path:
        raise SigningKeyError(f"{name} and {file_name} are both set: which is meant?")
    if not path:
        return text
    try:
        line = Path(path).read_text("utf-8").partition("\n")[0].strip()
    except (OSError, ValueError) as problem:
        raise SigningKeyError(f"{file_name} cannot be read: {problem}") from None
    if not line:
        raise SigningKeyError(f"{file_name} names a file that holds no key")
    return line

"""Cards: what one call needs of a release, as one item of the table.

A look-up key by key would take up to eight reads: four rows, the gate, the interaction, the model and the prompt. So the
publisher also writes, for each interaction, a card with all that a call without a tenant may need, and for each tenant
with rows of its own a card with those rows. They are made from entries and are no entries themselves: no snapshot
holds one.

    lookup/COACHING_RESPONSE/*      the interaction, its gate, prompts and rows for all tenants; models; tiers; the
                                    environment's default row and what that names
    lookup/COACHING_RESPONSE/acme   the rows of COACHING_RESPONSE that are acme's own
    lookup/*/*                      models, tiers and the environment's default: for an interaction nobody declared

A card of another layout would get a prefix of its own: a publisher that misses `lookup/*/*` writes all cards, so the
new ones would be there before the first reader of them.

With public keys configured a card must be signed. Its signature covers environment, key and release, so that none can be
made up, altered, or shown elsewhere. Not covered: whoever may write to the table can put back an older card of the same
key, or take one away. Where that matters, `Client` is the source to take: its snapshot is covered whole.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec

from controlplane.runtime import canonical, snapshot
from controlplane.runtime.entries import ANY, TENANT, UPPER_CODE, configuration_key
from controlplane.runtime.errors import SnapshotRefused
from controlplane.runtime.signing import SignatureRefused, Verifier

PREFIX: Final = "lookup"
SHARED: Final = f"{PREFIX}/{ANY}/{ANY}"
"""The card for interactions that have none; it is always there, so it also tells whether a store has cards at all."""
MAX_CARD_BYTES: Final = 384 * 1024
"""What a publisher writes at most; an item of DynamoDB holds 400 KB, its key and signature included."""

Documents = dict[str, msgspec.Raw]


class Signs(Protocol):
    """Whatever signs documents; `signing.Signer` does."""

    def sign_document(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return the document with its signature."""


class _Card(msgspec.Struct):
    environment: str
    key: str
    release: int
    schema: int
    entries: Documents


_CARD: Final = msgspec.json.Decoder(_Card)
_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def card_key(interaction: str = ANY, tenant: str | None = None) -> str:
    """Return the key of a card.

    >>> card_key("COACHING_RESPONSE")
    'lookup/COACHING_RESPONSE/*'
    """
    return f"{PREFIX}/{interaction}/{tenant or ANY}"


def has_card(interaction: object) -> bool:
    """Say whether an interaction of this name could have a card: callers may pass anything."""
    return isinstance(interaction, str) and UPPER_CODE.fullmatch(interaction) is not None


def own_tenant(tenant_id: object) -> str | None:
    """Return the tenant if it could have rows of its own, else None."""
    return tenant_id if isinstance(tenant_id, str) and TENANT.fullmatch(tenant_id) else None


def seal(
    entries: Mapping[str, bytes], *, environment: str, key: str, release: int, signer: Signs | None = None
) -> bytes:
    """Return the bytes of a card as `release` writes them; `entries` are documents in canonical JSON."""
    card = {
        "environment": environment,
        "key": key,
        "release": release,
        "schema": snapshot.SCHEMA,
        "entries": {one: msgspec.Raw(text) for one, text in entries.items()},
    }
    data = _ENCODER.encode(card)
    return data if signer is None else canonical.dumps(signer.sign_document(canonical.loads(data)))


def signed_with(data: bytes) -> str | None:
    """Return the id of the key that a card says it is signed with."""
    try:
        found = canonical.loads(data)["key_id"]
    except (ValueError, KeyError, TypeError):
        return None
    return str(found)


def unseal(data: bytes, *, environment: str, key: str, at: int, verifier: Verifier) -> Documents:
    """Return the documents in a card that was read for `key` at a release; raises `SnapshotRefused`."""
    try:
        card = _CARD.decode(data)
        if verifier.required:
            verifier.verify_document(canonical.loads(data))
    except (ValueError, RecursionError) as problem:
        raise SnapshotRefused(f"the card {key} cannot be read: {problem}") from None
    except SignatureRefused as refused:
        raise SnapshotRefused(f"the card {key} is {refused}") from None
    if (card.environment, card.key) != (environment, key) or card.release > at:
        raise SnapshotRefused(
            f"the card {key} of release {at} holds {card.key} of {card.environment} at {card.release}"
        )
    if card.schema != snapshot.SCHEMA:
        raise SnapshotRefused(f"the card {key} has schema {card.schema}, which is not known to this reader")
    _, interaction, tenant = key.split("/")
    strange = next((one for one in card.entries if not _belongs(one, interaction, tenant)), None)
    if strange is not None:
        raise SnapshotRefused(f"the card {key} holds {strange}, which is not of it")
    return card.entries


def _belongs(entry_key: str, interaction: str, tenant: str) -> bool:
    """Say whether an entry may stand in the card of this interaction and tenant."""
    kind, *parts = entry_key.split("/")
    if kind != "configuration":
        return tenant == ANY and (kind != "gate" or parts == [interaction])
    if len(parts) != 3:
        return False
    return [parts[0], parts[2]] == [interaction, tenant] or (
        tenant == ANY and entry_key == configuration_key()
    )


def snapshot_bytes(*cards: Documents) -> bytes:
    """Return the documents of these cards as the bytes of a snapshot without prompt texts."""
    entries = {key: document for card in cards for key, document in card.items()}
    return _ENCODER.encode({"entries": entries, "prompts": {}, "schema": snapshot.SCHEMA})

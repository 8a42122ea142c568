"""The documents of a release: one key, one JSON object, one struct.

Unknown fields are passed over, so that an older reader takes a newer release; what it must understand to serve rightly is
guarded by the pointer's `minimum_reader`. Types are checked here, meaning is checked in `validate.py`.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Annotated, Final, NamedTuple, cast

import msgspec

from controlplane.runtime import bucketing, canonical
from controlplane.runtime.errors import EntryRefused

RECORDED: Final = ("no", "length", "yes")
"""How a value may be kept when calls are recorded: not at all, how long it was, or as it was."""
PARAMETER_TYPES: Final = ("string", "text", "number", "boolean", "list", "object")
UNIT_KINDS: Final = ("user", "tenant", "conversation")
DEFAULT_TIER: Final = "default"
ANY: Final = "*"
KINDS: Final = ("tier", "model", "interaction", "prompt", "configuration", "gate")

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Ranges = tuple[tuple[int, int], ...]


class Tier(msgspec.Struct, frozen=True, gc=False):
    """A subscription level; `rank` orders them from the least."""

    name: str
    rank: int


class Model(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A registered model: whose it is, what it can take and what it costs. A price of None is not known."""

    provider: str
    provider_model_id: str
    context_window: int
    max_output_tokens: int
    input_price_per_million: float | None = None
    output_price_per_million: float | None = None
    capabilities: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    active: bool = True


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a declared object. It tells writers what there is; the runtime refuses no value for want of it."""

    name: str
    type: str
    optional: bool = False
    description: str = ""
    fields: "tuple[Field, ...]" = ()
    items: "Items | None" = None


class Items(msgspec.Struct, frozen=True, kw_only=True):
    """What the members of a declared list are."""

    type: str
    fields: tuple[Field, ...] = ()
    items: "Items | None" = None


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One value that an interaction's prompts may use."""

    name: str
    type: str
    required: bool = False
    description: str = ""
    example: object = None
    untrusted: bool = False
    """Written by strangers: unseen characters and chat formats' marks are taken out (`untrusted.py`)."""
    recorded: str = "no"
    """One of `RECORDED`; a word that this reader does not know keeps nothing, as does "no"."""
    fields: tuple[Field, ...] = ()
    """What an object holds, where that is declared; without it, what its examples hold is all that is known."""
    items: Items | None = None
    """What the members of a list are, where that is declared."""


class Interaction(msgspec.Struct, frozen=True, kw_only=True):
    """A named place in the product that calls a model."""

    category: str = ""
    description: str = ""
    parameters: tuple[Parameter, ...] = ()


class PromptEntry(msgspec.Struct, frozen=True, gc=False):
    """The live version of a prompt; its text lies in the snapshot under `sha256`."""

    interaction: str
    version: int
    sha256: str
    size: int


class PromptReference(msgspec.Struct, frozen=True, gc=False):
    """The prompt a variant uses: following its live version, or pinned to one."""

    code: str
    version: int | None = None
    sha256: str | None = None

    @property
    def pinned(self) -> bool:
        """Say whether the variant stays on one version whatever is published of the prompt."""
        return self.version is not None


class Variant(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One version of a configuration as it is live, and the buckets it owns. None means "not set"."""

    version: int
    model: str
    prompt: PromptReference
    ranges: Ranges
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    fallbacks: tuple[str, ...] = ()
    effective_from: Moment | None = None
    effective_until: Moment | None = None
    active: bool = True

    @property
    def timeless(self) -> bool:
        """Say whether it counts at any moment: active, and without dates."""
        return self.active and self.effective_from is None and self.effective_until is None

    def counts(self, now: datetime) -> bool:
        """Say whether it may be chosen at this moment: active, and inside its window (the end is already outside)."""
        return (
            self.active
            and (self.effective_from is None or self.effective_from <= now)
            and (self.effective_until is None or now < self.effective_until)
        )


class Configuration(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What an interaction uses for a tier and tenant: one variant, or several while a rollout is under way."""

    salt: str
    variants: tuple[Variant, ...]
    algorithm: str = bucketing.FIRST
    unit: str = "user"

    @property
    def baseline(self) -> Variant:
        """The first variant: what a call without a unit gets."""
        return self.variants[0]

    @cached_property
    def hash_prefix(self) -> bytes:
        """What is hashed before the unit."""
        return bucketing.prefix(self.algorithm, self.salt, self.unit)


class Gate(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The share of units whose calls go through configuration look-up at all."""

    salt: str
    ranges: Ranges
    algorithm: str = bucketing.FIRST
    unit: str = "user"

    @cached_property
    def hash_prefix(self) -> bytes:
        """What is hashed before the unit."""
        return bucketing.prefix(self.algorithm, self.salt, self.unit)

    @cached_property
    def boundaries(self) -> tuple[int, ...]:
        """Where ranges begin and end, in order: first the start of one, then its end, then the start of the next."""
        return tuple(sorted(edge for pair in self.ranges for edge in pair))

    @cached_property
    def share(self) -> int:
        """How many of the 100,000 buckets are in."""
        return bucketing.size(self.ranges)


Entry = Tier | Model | Interaction | PromptEntry | Configuration | Gate

STRUCTS: Final[dict[str, type[Entry]]] = {
    "tier": Tier,
    "model": Model,
    "interaction": Interaction,
    "prompt": PromptEntry,
    "configuration": Configuration,
    "gate": Gate,
}


class _Bucketed(msgspec.Struct):
    algorithm: str = bucketing.FIRST


_ALGORITHM: Final = msgspec.json.Decoder(_Bucketed)
# The first reader that knows an algorithm: an older one would refuse the entry, and with it what else the release brings.
_READERS: Final = {"v1": 1, "v2": 2}
_DECODERS: Final = {kind: msgspec.json.Decoder(struct) for kind, struct in STRUCTS.items()}

UPPER_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
LOWER_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
# Tenant ids come from the product: anything printable, but no slash (it parts keys) and no white space.
TENANT: Final = re.compile(r"(?!\*\Z)[^\s/\x00-\x1f\x7f\ud800-\udfff]{1,128}")

_SHAPES: Final = {
    "tier": (LOWER_CODE,),
    "model": (UPPER_CODE,),
    "interaction": (UPPER_CODE,),
    "prompt": (LOWER_CODE,),
    "gate": (UPPER_CODE,),
}


class EntryKey(NamedTuple):
    """A key taken apart; a configuration's parts are interaction, tier and tenant as written ("default", "*")."""

    kind: str
    parts: tuple[str, ...]


def tier_key(code: str) -> str:
    """Return the key of a tier."""
    return f"tier/{code}"


def model_key(code: str) -> str:
    """Return the key of a model."""
    return f"model/{code}"


def interaction_key(code: str) -> str:
    """Return the key of an interaction."""
    return f"interaction/{code}"


def prompt_key(code: str) -> str:
    """Return the key of a prompt."""
    return f"prompt/{code}"


def gate_key(interaction: str) -> str:
    """Return the key of an interaction's gate."""
    return f"gate/{interaction}"


def configuration_key(interaction: str = ANY, tier: str | None = None, tenant: str | None = None) -> str:
    """Return the key of a configuration; without arguments that of the environment's default.

    >>> configuration_key("COACHING_RESPONSE", "premium")
    'configuration/COACHING_RESPONSE/premium/*'
    """
    return f"configuration/{interaction}/{tier or DEFAULT_TIER}/{tenant or ANY}"


def parse_key(key: str) -> EntryKey:
    """Take a key apart; raises `ValueError` for one that no release may hold."""
    kind, *parts = key.split("/")
    found = EntryKey(kind, tuple(parts))
    if kind == "configuration":
        _check_configuration_parts(key, found.parts)
        return found
    shapes = _SHAPES.get(kind)
    if shapes is None:
        raise ValueError(f"{key!r} begins with none of {', '.join(KINDS)}")
    if len(parts) != len(shapes) or not all(map(re.Pattern.fullmatch, shapes, parts)):
        raise ValueError(f"{key!r} is not a key of a {kind}")
    if found == ("tier", (DEFAULT_TIER,)):
        raise ValueError("a tier cannot be called default: that is the row for all tiers")
    return found


def _check_configuration_parts(key: str, parts: tuple[str, ...]) -> None:
    if parts == (ANY, DEFAULT_TIER, ANY):
        return
    if len(parts) != 3:
        raise ValueError(f"{key!r} must be configuration/<interaction>/<tier or default>/<tenant or *>")
    interaction, tier, tenant = parts
    if not UPPER_CODE.fullmatch(interaction) or not LOWER_CODE.fullmatch(tier):
        raise ValueError(f"{key!r} is not a key of a configuration")
    if tenant != ANY and not TENANT.fullmatch(tenant):
        raise ValueError(f"{key!r}: a tenant is up to 128 characters without spaces and slashes")


def decode(key: str, data: bytes | msgspec.Raw) -> Entry:
    """Return the struct of an entry; raises `EntryRefused` with the field that is wrong."""
    decoder = _DECODERS.get(key.partition("/")[0])
    if decoder is None:
        raise EntryRefused(key, "", f"the key begins with none of {', '.join(KINDS)}")
    try:
        _refuse_duplicates(data)
        found: Entry = decoder.decode(data)
    except msgspec.ValidationError as error:
        field, message = split_error(error)
        raise EntryRefused(key, field, message) from None
    except (ValueError, RecursionError) as error:
        raise EntryRefused(key, "", f"not readable as JSON ({error})") from None
    if isinstance(found, Configuration | Gate):
        _check_buckets(key, found)
    return found


def minimum_reader(texts: Mapping[str, bytes]) -> int:
    """Return the number of the oldest reader that understands these documents, for the pointer of their release.

    `texts` are the documents by key, as JSON.
    """
    return max((_reader_of(key, text) for key, text in texts.items()), default=1)


def _reader_of(key: str, text: bytes) -> int:
    if key.startswith(("configuration/", "gate/")):
        return _READERS.get(_ALGORITHM.decode(text).algorithm, 1)
    if key.startswith("interaction/"):
        # An older reader passes the mark over, and would send what strangers wrote as they wrote it.
        declared = cast("Interaction", _DECODERS["interaction"].decode(text)).parameters
        return 2 if any(parameter.untrusted for parameter in declared) else 1
    return 1


def _refuse_duplicates(data: bytes | msgspec.Raw) -> None:
    """Refuse an object that names a field twice: two readers could take different ones.

    The decoder takes the last and says nothing. What comes out of a round trip unchanged holds no duplicate; only
    what does not (floats with an exponent, other spacing) is read again by the slow strict parser.
    """
    if msgspec.json.encode(msgspec.json.decode(data), order="sorted") != bytes(data):
        canonical.loads(bytes(data))


def _check_buckets(key: str, found: Configuration | Gate) -> None:
    if isinstance(found, Configuration) and not found.variants:
        raise EntryRefused(key, "variants", "a configuration needs at least one variant")
    if found.algorithm not in bucketing.ALGORITHMS:
        raise EntryRefused(key, "algorithm", f"{found.algorithm} is not known to this reader")
    if found.unit not in UNIT_KINDS:
        raise EntryRefused(key, "unit", f"{found.unit} is none of {', '.join(UNIT_KINDS)}")


def split_error(error: msgspec.ValidationError) -> tuple[str, str]:
    """Split a decoder's complaint into a field path ("variants[0].model") and its words."""
    message, _, path = str(error).partition(" - at `")
    return path.rstrip("`").removeprefix("$").removeprefix("."), message

"""Where a configuration stands: interaction, tier and tenant, and how that is written in keys, addresses and words."""

import re
from dataclasses import dataclass

from controlplane.runtime.entries import ANY, DEFAULT_TIER, TENANT, configuration_key, parse_key

# A tenant's page lies beside these pages of its tier; one with such a name could never be opened.
RESERVED_TENANTS = frozenset(
    {"archive", "compare", "draft", "edit", "gate", "new", "rollout", "rollouts", "versions", ".", ".."}
)
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


@dataclass(frozen=True, order=True)
class Place:
    """One cell: what an interaction uses for a tier (None: the default) and a tenant (None: all of them)."""

    interaction: str
    tier: str | None = None
    tenant: str | None = None

    @property
    def key(self) -> str:
        """The key of its entry: `configuration/COACHING_RESPONSE/premium/*`."""
        return configuration_key(self.interaction, self.tier, self.tenant)

    @property
    def tier_word(self) -> str:
        """The tier as keys and addresses write it: its code, or "default"."""
        return self.tier or DEFAULT_TIER

    @property
    def path(self) -> str:
        """As in addresses and in the audit's object key: `COACHING_RESPONSE/premium`, with a tenant a third part."""
        parts = [self.interaction, self.tier_word]
        return "/".join([*parts, self.tenant] if self.tenant else parts)

    @property
    def title(self) -> str:
        """In words, as in headings and sentences: `COACHING_RESPONSE · premium · tenant acme`."""
        words = f"{self.interaction} · {self.tier_word}"
        return f"{words} · tenant {self.tenant}" if self.tenant else words

    @classmethod
    def from_key(cls, key: str) -> "Place":
        """Read an entry's key; raises `ValueError` when it is not a configuration's."""
        kind, parts = parse_key(key)
        if kind != "configuration":
            raise ValueError(f"{key!r} is not the key of a configuration")
        interaction, tier, tenant = parts
        return cls.from_words(interaction, tier, None if tenant == ANY else tenant)

    @classmethod
    def from_words(cls, interaction: str, tier: str, tenant: str | None = None) -> "Place":
        """Read the parts of an address, where the default is spelled out."""
        return cls(interaction, None if tier == DEFAULT_TIER else tier, tenant)

    @classmethod
    def from_path(cls, path: str) -> "Place":
        """Read what `path` wrote; raises `ValueError` for anything else."""
        parts = path.split("/")
        if len(parts) not in (2, 3) or not all(parts):
            raise ValueError(f"{path!r} is not the path of a configuration")
        return cls.from_words(*parts)


def tenant_problem(tenant: str) -> str | None:
    """What is wrong with a tenant's id, in words, or None."""
    if tenant in RESERVED_TENANTS:
        return f"A tenant cannot be called “{tenant}”: this site uses the word in its addresses."
    if not TENANT.fullmatch(tenant) or _INVISIBLE.search(tenant):
        return "A tenant id is up to 128 characters without spaces, slashes or invisible characters, and not “*”."
    return None

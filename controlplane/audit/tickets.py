"""The ticket that a reason names: found when it is recorded, a link where the operator says what of."""

import re
from urllib.parse import quote

# A project's letters, a dash, a number: OPS-123. No longer word around it, and not a part of a path or another code.
_TICKET = re.compile(r"(?<![\w/.-])([A-Z][A-Z0-9]{1,9})-([1-9][0-9]{0,7})(?![\w-]|\.\w)")
# What looks like one in every second reason about language models, and is none.
_NO_PROJECTS = frozenset(
    {"AES", "CLAUDE", "GEMINI", "GPT", "HTTP", "ISO", "LLAMA", "MD", "RFC", "SHA", "TLS", "TOP", "UTC", "UTF"}
)
PLACE = "{ticket}"


def ticket_in(reason: str | None) -> str | None:
    """The first ticket that is named, or None."""
    for found in _TICKET.finditer(reason or ""):
        if found[1] not in _NO_PROJECTS:
            return found[0]
    return None


def link_to_ticket(ticket: str | None, pattern: str | None) -> str | None:
    """The ticket's address by the operator's pattern, "https://tickets.example.com/browse/{ticket}"; None without."""
    if ticket is None or pattern is None:
        return None
    return pattern.replace(PLACE, quote(ticket, safe=""))

"""Small phrases that several messages share."""

from collections.abc import Iterable
from difflib import get_close_matches


def closest(name: str, known: Iterable[object]) -> str:
    """Return "; did you mean 'title'?" when something near is known, else nothing."""
    found = suggestion(name, known)
    return f"; did you mean {found!r}?" if found else ""


def suggestion(name: str, known: Iterable[object]) -> str | None:
    """Return the known name nearest to a mistyped one."""
    # Comparing is quadratic in length: a name of 64 KiB is nobody's typing error.
    if len(name) > 64:
        return None
    found = get_close_matches(
        name, [item for item in known if isinstance(item, str) and len(item) <= 64], n=1
    )
    return found[0] if found else None


def listed(names: Iterable[str]) -> str:
    """Return "a, b and c"."""
    *head, tail = names
    return f"{', '.join(head)} and {tail}" if head else tail

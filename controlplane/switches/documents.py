"""From what is thrown to the document that readers obey, and the version it goes out under."""

import datetime as dt
import json
from collections.abc import Iterable
from typing import Any

from controlplane.runtime.switches import KillSwitches, Switch
from controlplane.switches.models import EVERYTHING, KillSwitch

# What can be counted up from without an end in sight; a stranger's number beyond it is no version.
_LATEST_VERSION = 2**53


def as_obeyed(thrown: Iterable[KillSwitch]) -> KillSwitches:
    """Return the switches as the readers know them."""
    by_target = {each.target: Switch(each.thrown_by, _at(each.thrown_at), each.reason) for each in thrown}
    everything = by_target.pop(EVERYTHING, None)
    return KillSwitches(everything, by_target)


def next_version(last: int, moment: dt.datetime) -> int:
    """Return a version later than `last` and than any that was given before `moment`: seconds since 1970, at least.

    A reader never goes back. After an older database was restored, counting on from its last version would give numbers that
    readers have seen; the clock's are later.
    """
    return max(last + 1, int(moment.timestamp()))


def version_in(data: bytes | None) -> int:
    """Return the version that a document in the store names, believed or not; 0 when none can be made out."""
    try:
        plain: Any = json.loads(data or b"")
    except (ValueError, RecursionError):
        return 0
    version = plain.get("version") if isinstance(plain, dict) else None
    is_version = isinstance(version, int) and not isinstance(version, bool) and 0 < version < _LATEST_VERSION
    return version if isinstance(version, int) and is_version else 0


def _at(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

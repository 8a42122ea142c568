"""What may be kept of a recorded call's values: what its interaction declares, and by default nothing."""

from collections.abc import Mapping
from typing import Final

import msgspec

from controlplane.runtime.snapshot import Snapshot

LONGEST_VALUES: Final = 16 * 1024
"""Bytes of JSON of one call's values at most; of longer ones only the lengths are kept."""
_NOTHING: Final[tuple[tuple[str, bool], ...]] = ()

_encode: Final = msgspec.json.Encoder().encode


def values_to_keep(
    snapshot: Snapshot | None, interaction: str, values: Mapping[str, object] | None
) -> tuple[bytes | None, dict[str, int] | None]:
    """Return what may be kept of a call's values as JSON, and the lengths of those of which that is all that may.

    It is done while the call is there, because its values are its caller's to change afterwards. So nothing may be raised: the
    model has answered already, and the answer would be lost with its record.
    """
    if snapshot is None or values is None:
        return None, None
    try:
        return _values_to_keep(snapshot, interaction, values)
    except Exception:  # a value that has no `str`, a declaration that cannot be read
        return None, None


def _values_to_keep(
    snapshot: Snapshot, interaction: str, values: Mapping[str, object]
) -> tuple[bytes | None, dict[str, int] | None]:
    declared = _declared(snapshot, interaction)
    if not declared:
        return None, None
    whole = {name: values[name] for name, as_it_was in declared if as_it_was and name in values}
    lengths = {
        name: _length(values[name]) for name, as_it_was in declared if not as_it_was and name in values
    }
    try:
        data = _encode(whole) if whole else None
    except (TypeError, ValueError, RecursionError):
        data = None
    if data is not None and len(data) > LONGEST_VALUES:
        lengths |= {name: _length(value) for name, value in whole.items()}
        data = None
    return data, lengths or None


def _declared(snapshot: Snapshot, interaction: str) -> tuple[tuple[str, bool], ...]:
    """Return the parameters of which something may be kept, each with whether that is its value."""
    found = snapshot.interaction(interaction)
    return _NOTHING if found is None else snapshot.derive(("recorded", interaction), _recorded)


def _recorded(snapshot: Snapshot, asked: tuple[str, str]) -> tuple[tuple[str, bool], ...]:
    interaction = snapshot.interaction(asked[1])
    return tuple(
        (each.name, each.recorded == "yes")
        for each in (interaction.parameters if interaction else ())
        if each.recorded in {"yes", "length"}
    )


def _length(value: object) -> int:
    if isinstance(value, str | list | tuple | dict):
        return len(value)
    return 0 if value is None else len(str(value))

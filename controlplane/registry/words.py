"""A change of the registry in words, and its fields as the audit keeps them."""

import datetime as dt
from decimal import Decimal
from typing import Any

from controlplane.db import Base, Json

# Not what a person changed: bookkeeping of the row.
_BOOKKEEPING = frozenset(
    {"code", "archived_at", "revision", "gate_salt", "gate_algorithm", "next_release", "next_proposal"}
)

_NAMES = {
    "provider_model_id": "the provider's model id",
    "context_window": "context window",
    "max_output_tokens": "most output tokens",
    "input_price_per_million": "input price per million tokens",
    "output_price_per_million": "output price per million tokens",
    "retires_on": "the day it retires",
    "approvals": "approvals asked for",
    "self_approval": "one's own approval counts",
    "publish_role": "who publishes",
}


def fields_of(row: Base) -> Json:
    """The fields a person may change, as plain JSON."""
    return {
        column.key: _plain(getattr(row, column.key))
        for column in row.__mapper__.column_attrs
        if column.key not in _BOOKKEEPING
    }


def changes_in_words(before: Json, after: Json) -> str:
    """What differs, field by field: "rank 2 → 3; name “Premium” → “Plus”"."""
    return "; ".join(
        _change(name, before[name], after[name]) for name in after if before[name] != after[name]
    )


def _change(name: str, before: Any, after: Any) -> str:
    words = _NAMES.get(name, name.replace("_", " "))
    if name == "parameters" and _is_declaration(before, after):
        return _declaration(before, after)
    return f"{words} {_spell(name, before)} → {_spell(name, after)}"


def _is_declaration(before: Any, after: Any) -> bool:
    return any(isinstance(parameter, dict) for parameter in [*before, *after])


def _declaration(before: list[Json], after: list[Json]) -> str:
    old = {parameter["name"]: parameter for parameter in before}
    new = {parameter["name"]: parameter for parameter in after}
    said = [f"parameter {name} added" for name in new if name not in old]
    said += [f"parameter {name} removed" for name in old if name not in new]
    said += [f"parameter {name} changed" for name in new if name in old and new[name] != old[name]]
    return ", ".join(said) or "parameters in another order"


def _spell(name: str, value: Any) -> str:
    if value is None:
        return "not known" if name.endswith("_per_million") else "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(each) for each in value) or "none"
    if name.endswith("_per_million"):
        return f"${value:,.2f}" if round(value, 2) == value else f"${value:,.4f}"
    return f"{value:,}" if isinstance(value, int) else f"“{value}”"


def _plain(value: Any) -> Any:
    if isinstance(value, dt.date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value

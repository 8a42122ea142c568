"""Two people changed the same configuration: what each did, field by field, and what both together make. Pure.

Works on the fields of the form as they were sent, so that nothing anybody typed is lost on the way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from controlplane.configurations.wording import LABELS, moment_words

Raw = dict[str, list[str]]

FIELDS: Final[dict[str, str]] = {
    ("template" if name == "prompt" else name): label for name, label in LABELS.items()
}
CHOICE: Final = "choose."


@dataclass(frozen=True)
class Line:
    """One field that is not the same in all three; `overlap` when both changed it, differently."""

    name: str
    label: str
    before: str
    theirs: str
    yours: str
    overlap: bool


def compare(before: Raw, theirs: Raw, yours: Raw) -> list[Line]:
    """The fields in which the three differ, in the order of the form."""
    return [
        Line(
            name,
            label,
            words(before, name),
            words(theirs, name),
            words(yours, name),
            overlap=_changed(before, theirs, name)
            and _changed(before, yours, name)
            and _changed(theirs, yours, name),
        )
        for name, label in FIELDS.items()
        if _changed(before, theirs, name) or _changed(before, yours, name)
    ]


def merge(before: Raw, theirs: Raw, yours: Raw) -> Raw:
    """Yours, with what only they changed taken from theirs."""
    merged = dict(yours)
    for name in FIELDS:
        if _changed(before, theirs, name) and not _changed(before, yours, name):
            merged[name] = _values(theirs, name)
    return merged


def with_choices(sent: Raw, theirs: Raw) -> Raw:
    """What was sent from the conflict page: each field for which "theirs" was chosen is taken from theirs."""
    chosen = [name for name in FIELDS if sent.get(CHOICE + name) == ["theirs"]]
    kept = {name: values for name, values in sent.items() if not name.startswith(CHOICE)}
    return {**kept, **{name: _values(theirs, name) for name in chosen}}


def words(raw: Mapping[str, list[str]], name: str) -> str:
    """One field as it stands in the form, readable."""
    values = [value for value in _values(raw, name) if value.strip()]
    if name == "active":
        return "yes" if values else "no"
    if name == "fallbacks":
        return " then ".join(values) or "none"
    if name == "template" and values:
        code, _, version = values[0].partition("@")
        return f"{code}, pinned to version {version}" if version else f"{code}, live version"
    if name.startswith("effective_") and values:
        return _moment_words(values[0])
    return ", ".join(values) or "not set"


def _moment_words(typed: str) -> str:
    try:
        return moment_words(typed)
    except ValueError:  # a draft may hold anything
        return typed


def _values(raw: Mapping[str, list[str]], name: str) -> list[str]:
    return list(raw.get(name, []))


def _changed(one: Mapping[str, list[str]], other: Mapping[str, list[str]], name: str) -> bool:
    return words(one, name) != words(other, name)

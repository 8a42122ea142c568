"""What the address of the list of changes may say: a query, and a place in what it finds."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, Field, field_validator

from controlplane.audit.language import LONGEST, Query, Reading, Term, parse

# Before there was a language each of these was a field of its own; addresses that were kept still say it so.
_EARLIER = {"actor": "actor", "action": "action", "environment": "env", "after": "after", "before": "before"}


class ViewInput(BaseModel):
    """A name for a query."""

    name: str = Field(min_length=1, max_length=60)
    q: str | None = Field(default=None, max_length=LONGEST)
    shared: bool = False

    @field_validator("q")
    @classmethod
    def _can_be_read(cls, text: str | None) -> str:
        reading = parse(text or "")
        if reading.problems:
            raise ValueError(reading.problems[0].message)
        return str(reading.query)


@dataclass(frozen=True)
class Asked:
    """What was asked for, the cursors, the newest event that counts, and what of the address was not understood."""

    reading: Reading
    older_than: int | None = None
    newer_than: int | None = None
    upto: int | None = None
    not_understood: tuple[str, ...] = ()

    @property
    def query(self) -> Query:
        """What of it could be read."""
        return self.reading.query


def asked_of(given: Mapping[str, str]) -> Asked:
    """Read the address's query."""
    problems: list[str] = []
    cursors = {name: _number(given[name], problems) for name in ("older", "newer", "upto") if given.get(name)}
    text = " ".join(filter(None, (given.get("q", "").strip(), *map(str, _earlier(given)))))
    return Asked(
        reading=parse(text),
        older_than=cursors.get("older"),
        newer_than=cursors.get("newer"),
        upto=cursors.get("upto"),
        not_understood=tuple(dict.fromkeys(problems)),
    )


def _earlier(given: Mapping[str, str]) -> list[Term]:
    """Say in the language what an address of before says field by field."""
    sent = {name: value.replace("\x00", "").strip() for name, value in given.items()}
    terms = [Term(sent[name], word) for name, word in _EARLIER.items() if sent.get(name)]
    kind, key = sent.get("object_kind"), sent.get("object_key")
    if kind and key:
        terms.append(Term(f"{kind}/{key}", "object"))
    elif kind:
        terms.append(Term(kind, "kind"))
    elif key:
        terms.append(Term(key, "object"))
    return terms


def _number(text: str, problems: list[str]) -> int | None:
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    problems.append("The place in the list was not understood: this is its beginning.")
    return None

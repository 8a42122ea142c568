"""The list of configurations: rows, filters as they stand in the address, and counts beside each choice. Pure."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from controlplane.configurations.documents import settings_of
from controlplane.configurations.places import Place
from controlplane.configurations.services import Saved
from controlplane.configurations.states import Standing, State, standing
from controlplane.configurations.wording import setting
from controlplane.db import Json
from controlplane.runtime.entries import DEFAULT_TIER

PAGE_SIZE: Final = 100
SORTS: Final = ("interaction", "model", "changed")


@dataclass(frozen=True)
class Row:
    """One configuration in one environment."""

    place: Place
    model: str
    prompt: str
    pinned: int | None
    standing: Standing
    changed_at: dt.datetime
    changed_by: str
    reason: str

    @property
    def words(self) -> str:
        """What free text is looked for in."""
        parts = (self.place.title, self.model, self.prompt, self.changed_by, self.reason, self.standing.label)
        return " ".join(parts).casefold()


@dataclass(frozen=True)
class Filters:
    """What the address asks for; "" is all."""

    q: str = ""
    interaction: str = ""
    tier: str = ""
    model: str = ""
    status: str = ""
    sort: str = "interaction"

    @classmethod
    def read(cls, arguments: Mapping[str, str]) -> "Filters":
        """From the query of an address; unknown parameters are passed over."""
        found = {
            name: arguments.get(name, "").strip() for name in ("q", "interaction", "tier", "model", "status")
        }
        sort = arguments.get("sort", "")
        return cls(**found, sort=sort if sort in SORTS else "interaction")

    @property
    def active(self) -> dict[str, str]:
        """Those that narrow the list."""
        names = ("q", "interaction", "tier", "model", "status")
        return {name: value for name in names if (value := getattr(self, name))}

    @property
    def query(self) -> dict[str, str]:
        """All of them as they stand in an address."""
        return {**self.active, **({"sort": self.sort} if self.sort != "interaction" else {})}

    @property
    def words(self) -> str:
        """What was asked for, for the empty answer: "tier premium, model GPT_5"."""
        return ", ".join(
            f"“{value}”" if name == "q" else f"{name} {value}" for name, value in self.active.items()
        )


@dataclass(frozen=True)
class Choice:
    """One value of a filter and how many rows it would leave."""

    value: str
    label: str
    count: int


@dataclass(frozen=True)
class Listing:
    """The page of the list."""

    rows: list[Row]
    total: int
    filters: Filters
    anywhere: int  # how many there are whatever their state
    statuses: list[Choice]
    interactions: list[Choice]
    tiers: list[Choice]
    models: list[Choice]

    @property
    def hidden(self) -> int:
        """How many more there are than shown."""
        return self.total - len(self.rows)


def rows_of(saved: Iterable[Saved], live: Mapping[str, Json], *, now: dt.datetime) -> list[Row]:
    """One row for each configuration that is saved or still live, as it counts at this moment."""
    return [_row(each, live.get(each.place.key), now) for each in saved]


def listing(rows: Iterable[Row], filters: Filters, *, everything: bool = False) -> Listing:
    """Filter, sort and count."""
    # What is archived and gone is history: only who asks for it sees it.
    asked = [
        row for row in rows if filters.status == State.ARCHIVED or row.standing.state is not State.ARCHIVED
    ]
    found = sorted(_matching(asked, filters), key=_ORDER[filters.sort])
    counted = {
        name: Counter(map(value, _matching(asked, replace(filters, **{name: ""}))))
        for name, value in _VALUES.items()
    }
    return Listing(
        rows=found if everything else found[:PAGE_SIZE],
        total=len(found),
        filters=filters,
        anywhere=counted["status"].total(),
        statuses=[
            Choice(state, state.label, counted["status"][state])
            for state in State
            if state is not State.ARCHIVED
        ],
        interactions=_choices(counted["interaction"]),
        tiers=_choices(counted["tier"]),
        models=_choices(counted["model"]),
    )


_VALUES: Final[dict[str, Callable[[Row], str]]] = {
    "interaction": lambda row: row.place.interaction,
    "tier": lambda row: row.place.tier_word,
    "model": lambda row: row.model,
    "status": lambda row: row.standing.state.value,
}


def _place_order(row: Row) -> tuple[str, str, str]:
    return row.place.interaction, row.place.tier or "", row.place.tenant or ""


_ORDER: Final[dict[str, Callable[[Row], tuple[object, ...]]]] = {
    "interaction": _place_order,
    "model": lambda row: (row.model, *_place_order(row)),
    "changed": lambda row: (-row.changed_at.timestamp(), *_place_order(row)),
}


def _row(saved: Saved, live: Json | None, now: dt.datetime) -> Row:
    version = saved.version
    return Row(
        place=saved.place,
        model=setting(settings_of(version), "model"),
        prompt=version.prompt_code,
        pinned=version.prompt_version,
        standing=standing(
            live,
            saved_version=version.number,
            archived=saved.configuration.archived_at is not None,
            now=now,
        ),
        changed_at=version.created_at,
        changed_by=version.author_name,
        reason=version.reason,
    )


def _matching(rows: Iterable[Row], filters: Filters) -> list[Row]:
    wanted = {name: value for name, value in filters.active.items() if name in _VALUES}
    words = filters.q.casefold().split()
    return [
        row
        for row in rows
        if all(_VALUES[name](row) == value for name, value in wanted.items())
        and all(word in row.words for word in words)
    ]


def _choices(counts: Counter[str]) -> list[Choice]:
    # The default first: it is the row that everything else falls back to.
    values = sorted(counts, key=lambda value: (value != DEFAULT_TIER, value))
    return [Choice(value, value, counts[value]) for value in values]

"""What the pages of releases show, worked out before any template sees it."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from controlplane.fleet.standing import summary
from controlplane.prompts import textdiff
from controlplane.registry.models import Environment
from controlplane.releases import history, saved, steps, words
from controlplane.releases.arriving import confirmed_words
from controlplane.releases.diff import ABSENT, EntryChange, FieldChange, Kind, diff, digest_of
from controlplane.releases.models import Release
from controlplane.releases.progress import ExportView, Progress, export_view, progress
from controlplane.snippets.usage import told_of

UrlOf = Callable[[str], str | None]

_OPEN_UP_TO = 6
# A page to read shows the fields of so many entries at once; of more, those asked for (a first release has all there are).
_DETAILED_UP_TO = 20
_OPTIONS = 200
# Follow from what else is shown, and say nothing to a reader; shown only when nothing else is there.
_HIDDEN = frozenset({"sha256", "size", "salt", "algorithm"})


@dataclass(frozen=True)
class FieldRow:
    """One field in words; None reads "not set"."""

    key: str
    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class EntryView:
    """One entry that differs, as pages show it; without `detailed` its rows and text are left out."""

    key: str
    name: str
    kind: str
    sentence: str
    rows: list[FieldRow]
    text: list[textdiff.Row]
    text_summary: str
    url: str | None
    digest: str
    note: str | None
    ticked: bool
    detailed: bool
    opened: bool


@dataclass(frozen=True)
class WaitingView:
    """A configuration whose newest version waits for its rollout to end, in words."""

    name: str
    url: str | None
    sentence: str


@dataclass(frozen=True)
class Choosing:
    """A page where somebody ticks entries: what is not yet live, or a rollback."""

    base: int
    entries: list[EntryView]
    waiting: list[WaitingView]
    protected: bool
    approvals: int
    publish_role: str
    shared: list[str] = field(default_factory=list)  # what newer snippets change among the entries


@dataclass(frozen=True)
class ReleaseRow:
    """One line of the list; `confirmed` is "12 of 12", of the newest that arrived."""

    release: Release
    export: ExportView
    confirmed: str | None


@dataclass(frozen=True)
class Approval:
    """Who agreed to the proposal that a release published, and when."""

    name: str
    at: dt.datetime


@dataclass(frozen=True)
class ReleasePage:
    """One release; `against` is the one its entries are compared with, None: the one before, or nothing before the first."""

    release: Release
    entries: list[EntryView]
    progress: Progress
    latest: int
    previous: int | None
    following: int | None
    against: int | None
    others: list[tuple[int, str]]


def unpublished(session: Session, environment: Environment, url_of: UrlOf) -> Choosing:
    """Return what is saved but not live, each entry ticked unless it was live before and taken back."""
    entries, _ = saved.saved_entries(session, environment.code)
    changes = diff(saved.live_entries(session, environment.code), entries)
    back = saved.taken_back(session, environment.code, [change.key for change in changes], entries)
    notes = {
        key: f"Was live before; release {number} took it back. Tick it only if it shall return."
        for key, number in back.items()
    }
    found = saved.waiting(session, environment.code)
    return _choosing(
        session, environment, changes, url_of, notes=notes, waiting=[_waiting(each, url_of) for each in found]
    )


def rollback(session: Session, environment: Environment, number: int, url_of: UrlOf) -> Choosing:
    """Return what would change if release `number` were live again."""
    history.get_release(session, environment.code, number)
    earlier = saved.live_entries(session, environment.code, at=number)
    changes = diff(saved.live_entries(session, environment.code), earlier)
    return _choosing(session, environment, changes, url_of)


def release_page(
    session: Session,
    environment: str,
    number: int,
    url_of: UrlOf,
    *,
    shown: str = "",
    against: int | None = None,
) -> ReleasePage:
    """Return one release with what it changed and how far it has come.

    `shown` is the entry asked for; `against` another release to compare it with than the one before.
    """
    release = history.get_release(session, environment, number)
    latest = history.latest_release(session, environment)
    previous = history.previous_number(session, environment, number)
    if against in {None, number, previous}:
        against, changes = None, history.changes_of(session, environment, number)
    else:
        history.get_release(session, environment, against)
        changes = history.compare(session, environment, against, number)
    return ReleasePage(
        release=release,
        entries=entry_views(session, changes, url_of, shown=shown),
        progress=progress(session, release),
        latest=latest.number if latest else number,
        previous=previous,
        following=history.next_number(session, environment, number),
        against=against,
        others=[each for each in release_options(session, environment) if each[0] != number],
    )


def release_options(session: Session, environment: str) -> list[tuple[int, str]]:
    """Return the releases to choose from, newest first, each with its number and what it did."""
    return [
        (each.number, f"Release {each.number}: {_short(each.summary)}")
        for each in history.list_releases(session, environment, limit=_OPTIONS)
    ]


def _short(summary: str) -> str:
    return summary if len(summary) <= 40 else f"{summary[:39]}…"


def release_rows(session: Session, releases: Sequence[Release]) -> list[ReleaseRow]:
    """Return the lines of the list."""
    if not releases:
        return []
    environment = releases[0].environment
    exports = steps.exports_of(session, environment, [release.number for release in releases])
    found = summary(session, environment)
    return [
        ReleaseRow(release, export_view(exports[release.number]), confirmed_words(found, release.number))
        for release in releases
    ]


def entry_views(
    session: Session,
    changes: Sequence[EntryChange],
    url_of: UrlOf,
    *,
    notes: Mapping[str, str] | None = None,
    shown: str | None = None,
) -> list[EntryView]:
    """Return changes as pages show them, with the texts of prompts line by line.

    With `shown` given, a long list has details of that entry only.
    """
    every = shown is None or len(changes) <= _DETAILED_UP_TO
    detailed = [change for change in changes if every or change.key == shown]
    bodies = {**_bodies(session, detailed, "before"), **_bodies(session, detailed, "after")}
    return [
        _entry_view(
            change,
            bodies,
            url_of,
            note=(notes or {}).get(change.key),
            detailed=every or change.key == shown,
            opened=len(changes) <= _OPEN_UP_TO or change.key == shown,
        )
        for change in changes
    ]


def _choosing(
    session: Session,
    environment: Environment,
    changes: Sequence[EntryChange],
    url_of: UrlOf,
    *,
    notes: Mapping[str, str] | None = None,
    waiting: Sequence[WaitingView] = (),
) -> Choosing:
    latest = history.latest_release(session, environment.code)
    return Choosing(
        base=latest.number if latest else 0,
        entries=entry_views(session, changes, url_of, notes=notes),
        waiting=list(waiting),
        protected=environment.protected,
        approvals=environment.approvals,
        publish_role=environment.publish_role,
        shared=told_of(session, [(each.key, each.before, each.after) for each in changes]),
    )


def _waiting(each: saved.Waiting, url_of: UrlOf) -> WaitingView:
    versions = " and ".join(str(number) for number in each.live_versions)
    sentence = f"version {each.saved_version} waits: versions {versions} are being rolled out. Finish or abort that first."
    return WaitingView(words.entry_name(each.key), url_of(each.key), sentence)


def _bodies(session: Session, changes: Iterable[EntryChange], side: str) -> dict[str, str]:
    found = {change.key: getattr(change, side) for change in changes if change.key.startswith("prompt/")}
    return saved.bodies_of(
        session, {key: document for key, document in found.items() if document is not None}
    )


def _entry_view(
    change: EntryChange,
    bodies: Mapping[str, str],
    url_of: UrlOf,
    *,
    note: str | None,
    detailed: bool,
    opened: bool,
) -> EntryView:
    text = _text(change, bodies) if detailed else []
    rows = _rows(change) if detailed else []
    if text and [row.field for row in rows] == ["Version"]:
        rows = []  # the sentence says so; what matters is the text
    return EntryView(
        key=change.key,
        name=words.entry_name(change.key),
        kind={Kind.ADDED: "new", Kind.REMOVED: "gone", Kind.CHANGED: "changed"}[change.kind],
        sentence=words.sentence(change).removeprefix(f"{words.entry_name(change.key)}: "),
        rows=rows,
        text=text,
        text_summary=str(textdiff.summary(text)),
        url=url_of(change.key),
        digest=digest_of(change.after),
        note=note,
        ticked=note is None,
        detailed=detailed,
        opened=opened,
    )


def _text(change: EntryChange, bodies: Mapping[str, str]) -> list[textdiff.Row]:
    if not change.key.startswith("prompt/"):
        return []
    old, new = ((document or {}).get("sha256", "") for document in (change.before, change.after))
    return textdiff.lines(bodies.get(old, ""), bodies.get(new, ""))


def _rows(change: EntryChange) -> list[FieldRow]:
    fields = [
        field for field in change.fields if field.path.rpartition(" · ")[2].rpartition(".")[2] not in _HIDDEN
    ]
    told = [field for field in fields if not _empty(field.before) or not _empty(field.after)]
    return [_row(change.key, field) for field in told or fields or change.fields]


def _empty(value: object) -> bool:
    return value is ABSENT or value is None


def _row(key: str, field: FieldChange) -> FieldRow:
    before, after = (
        None if _empty(value) else words.value_text(field.path, value)
        for value in (field.before, field.after)
    )
    if before == after and before is not None:
        # Two different things that read the same, as two sets of buckets of one size do.
        after = f"{after} (not the same)"
    name = words.field_name(field.path) or "document"
    return FieldRow(key, name[:1].upper() + name[1:], before, after)

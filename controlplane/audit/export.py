"""Changes as a file: everything that matches, row by row, with a last line that says how many and seals what came before.

Rows go from a cursor of the database to the browser in pieces, so that a million need no more memory than a thousand. The
SHA-256 of the last line is of every byte before that line.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, get_args

from sqlalchemy import Row, Select, Text, cast
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit import finding
from controlplane.audit.conditions import Wanted
from controlplane.audit.finding import Figures
from controlplane.audit.models import AuditEvent
from controlplane.audit.plain import visible
from controlplane.audit.services import record

Format = Literal["csv", "json", "ndjson"]
FORMATS: tuple[Format, ...] = get_args(Format)
UrlOf = Callable[[str], str]

_PIECE = 500
_DOCUMENTS = ("before", "after")
# What a spreadsheet takes for the beginning of a formula, and what it passes over before one.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class Seal(NamedTuple):
    """What the last line says."""

    rows: int
    sha256: str


def record_export(session: Session, wanted: Wanted, form: Format, *, actor: Actor) -> None:
    """Record that somebody takes these changes with them, before they do."""
    actor.require(Role.VIEWER)
    figures = Figures(total=finding.count(session, wanted))
    query = str(wanted.query)
    record(
        session,
        actor=actor,
        action="changes.exported",
        object_kind="changes",
        object_key="changes",
        sentence=f"exported {figures.words} as {form.upper()}: {query or 'all there were'}",
        after={"query": query, "format": form, "upto": wanted.upto, "at": wanted.now.isoformat()},
    )


def stream(
    open_session: Callable[[], Session], wanted: Wanted, form: Format, *, url_of: UrlOf
) -> Iterator[bytes]:
    """Yield the file. The session is its own, opened at the first piece and closed with the iterator, read to its end or not."""
    writer = _WRITERS[form]
    digest = hashlib.sha256()
    count = 0
    with open_session() as session:
        finding.prepare(session)
        head = writer.head()
        digest.update(head)
        yield head
        rows = session.execute(_columns(wanted), execution_options={"yield_per": _PIECE})
        try:
            for piece in rows.partitions():
                data = b"".join([writer.row(row, url_of(row.id), first=not count and not place)
                                 for place, row in enumerate(piece)])  # fmt: skip
                count += len(piece)
                digest.update(data)
                yield data
            foot = writer.foot()
            digest.update(foot)
            yield foot + writer.seal(Seal(count, digest.hexdigest()))
        finally:
            rows.close()


def _columns(wanted: Wanted) -> Select[*tuple[Any, ...]]:
    # Documents come as Postgres spells them: taking them apart only to put them together again doubles the time.
    columns = [
        cast(column, Text).label(column.name) if column.name in _DOCUMENTS else column
        for column in AuditEvent.__table__.columns
    ]
    return finding.all_of(wanted, columns)


class _Csv:
    """RFC 4180, every cell quoted, and none that a spreadsheet would compute."""

    names: Sequence[str] = (*(column.name for column in AuditEvent.__table__.columns), "url")

    def head(self) -> bytes:
        return self._line(self.names)

    def row(self, row: Row[Any], url: str, *, first: bool) -> bytes:
        del first
        return self._line([*map(_plain, row), url])

    def foot(self) -> bytes:
        return b""

    def seal(self, seal: Seal) -> bytes:
        told = ["count", str(seal.rows), "sha256", seal.sha256]
        return self._line([*told, *[""] * (len(self.names) - len(told))])

    def _line(self, cells: Sequence[str]) -> bytes:
        return ('"' + '","'.join([cell_of(cell) for cell in cells]) + '"\r\n').encode()


class _Ndjson:
    """An object for each line."""

    def head(self) -> bytes:
        return b""

    def row(self, row: Row[Any], url: str, *, first: bool) -> bytes:
        del first
        return _object(row, url) + b"\n"

    def foot(self) -> bytes:
        return b""

    def seal(self, seal: Seal) -> bytes:
        return json.dumps({"count": seal.rows, "sha256": seal.sha256}).encode() + b"\n"


class _Json(_Ndjson):
    """One object; its changes stand in lines of their own, and so does its end."""

    def head(self) -> bytes:
        return b'{"changes": [\n'

    def row(self, row: Row[Any], url: str, *, first: bool) -> bytes:
        return (b"" if first else b",\n") + _object(row, url)

    def foot(self) -> bytes:
        return b"\n],\n"

    def seal(self, seal: Seal) -> bytes:
        return f'"count": {seal.rows}, "sha256": "{seal.sha256}"}}\n'.encode()


_WRITERS: dict[Format, _Csv | _Ndjson] = {"csv": _Csv(), "json": _Json(), "ndjson": _Ndjson()}


def cell_of(text: str) -> str:
    """Return a text as it may stand between the quotes of a cell: no formula, no second line, no other direction."""
    if text.startswith(_FORMULA):
        text = f"'{text}"
    # One line for each row, whoever reads it; and nothing that reads otherwise than it is written.
    return text.replace('"', '""') if text.isprintable() else visible(text).replace('"', '""')


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return _moment(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _object(row: Row[Any], url: str) -> bytes:
    parts = []
    for name, value in zip(row._fields, row, strict=True):
        if name in _DOCUMENTS:
            spelt = value if value is None or value.isascii() else json.dumps(json.loads(value))
            parts.append(f'"{name}": {spelt or "null"}')
        else:
            spelt = json.dumps(_moment(value) if isinstance(value, dt.datetime) else value)
            parts.append(f'"{name}": {spelt}')
    return ("{" + ", ".join(parts) + f', "url": {json.dumps(url)}' + "}").encode()


def _moment(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

"""Tables for spreadsheets: rows of text, numbers and moments, cell by cell as the export of changes writes them."""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence

from flask import Response

from controlplane.audit.export import cell_of


def lines(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Rows as lines of CSV, one after the other."""
    for row in rows:
        yield '"' + '","'.join([cell_of(_plain(value)) for value in row]) + '"\r\n'


def csv_answer(name: str, body: Iterable[str]) -> Response:
    """A table as a file to keep."""
    answer = Response(body, mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _plain(value: object) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return "" if value is None else str(value)

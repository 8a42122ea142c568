"""How values are written on the page: one place for times, numbers, shares and money."""

import datetime as dt
from decimal import Decimal

from flask import Flask
from markupsafe import Markup, escape

from controlplane.db import now
from controlplane.runtime.bucketing import BUCKETS


def register(app: Flask) -> None:
    """Make the filters known to Jinja."""
    for each in (time_tag, exact_time, share, number, money, datetime_local, breakable, to_the_byte):
        app.jinja_env.filters[each.__name__] = each


def time_tag(moment: dt.datetime | None) -> Markup | str:
    """A <time>: relative up to seven days, the exact moment in UTC behind it; the script adds the local one."""
    if moment is None:
        return "never"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        _iso(moment), exact_time(moment), relative(moment, now())
    )


def exact_time(moment: dt.datetime | None) -> str:
    """A moment as compliance reads it: "22 Nov 2026, 10:40:42 UTC"."""
    if moment is None:
        return "never"
    utc = moment.astimezone(dt.UTC)
    return f"{utc.day} {utc:%b %Y, %H:%M:%S} UTC"


def relative(moment: dt.datetime, to: dt.datetime) -> str:
    """How long before or after `to`: a number and a unit ("3 min ago", "in 2 h"), or the date when it is over a week."""
    seconds = (to - moment).total_seconds()
    distance = abs(seconds)
    if distance < 45:
        return "just now"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if distance >= size * 0.95 or unit == "min":
            words = f"{max(1, round(distance / size))} {unit}"
            break
    if distance > 7 * 86_400:
        utc = moment.astimezone(dt.UTC)
        return f"{utc.day} {utc:%b %Y}"
    return f"{words} ago" if seconds > 0 else f"in {words}"


def share(buckets: int | None) -> str:
    """A number of buckets as a share: 12500 is "12.5 %"."""
    if buckets is None:
        return "not known"
    return f"{_plain(Decimal(buckets) * 100 / BUCKETS)} %"


def number(value: float | Decimal | None) -> str:
    """A number with thousands set apart."""
    if value is None:
        return "not known"
    return f"{value:,}" if isinstance(value, int) else f"{Decimal(str(value)).normalize():,f}"


def money(value: float | Decimal | None) -> str:
    """US dollars with as many places as are needed, at least two."""
    if value is None:
        return "not known"
    amount = Decimal(str(value)).normalize()
    exponent = amount.as_tuple().exponent
    places = max(2, -exponent) if isinstance(exponent, int) else 2
    return f"${amount:,.{places}f}"


def datetime_local(value: str | dt.datetime | None) -> str:
    """What <input type=datetime-local> takes: UTC without its zone. What was typed and is no date stays as typed."""
    if not value:
        return ""
    try:
        moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return str(value)
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    return moment.isoformat(
        timespec="minutes" if moment.second == 0 and moment.microsecond == 0 else "seconds"
    )


def breakable(code: str) -> Markup:
    """A long code that may be broken after an underscore, where people would."""
    return Markup("_<wbr>").join(escape(part) for part in code.split("_"))


def _iso(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def to_the_byte(text: str) -> Markup:
    """A text so that a browser has exactly these characters in the page, and whoever copies them too.

    Written plainly, a carriage return would be read as a newline. A NUL cannot stand in a page at all: its sign does.
    """
    return escape(text).replace("\r", Markup("&#13;")).replace("\x00", "\u2400")

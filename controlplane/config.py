"""Settings: read once from the environment, typed, and refused with one clear line when wrong.

The defaults fit a first run on one machine and are safe to publish: no secret has a default. A process that needs
the database or the AWS endpoint and was not told where it is says so itself; only it knows whether it can do without.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")
D = TypeVar("D")

PASSWORD_LENGTH = (12, 128)  # in characters, wherever a password is chosen

_PROJECT = Path(__file__).resolve().parents[1]
_WORDS = {
    "1": True, "true": True, "yes": True, "on": True,
    "0": False, "false": False, "no": False, "off": False,
}  # fmt: skip


class SettingsError(ValueError):
    """A variable holds something unusable; the text is one line that names it, its value and what is wanted."""

    def __init__(self, name: str, value: str, wanted: str, *, secret: bool = False) -> None:
        self.name = name
        shown = "(not shown)" if secret else repr(value)
        super().__init__(f"{name} is {shown}, but must be {wanted}.")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says, checked. Each field names its variable and its default in `from_environment`."""

    home: Path
    port: int
    runtime_port: int
    database_url: str | None = field(
        repr=False
    )  # holds a password, and settings end up in logs and tracebacks
    database_owner_url: str | None = field(repr=False)
    """As `database_url`, as the role that owns the tables: for migrations and the archive of the record."""
    aws_endpoint_url: str | None
    aws_region: str
    table: str
    bucket: str
    admin_email: str | None
    admin_password: str | None = field(repr=False)
    secure_cookies: bool
    poll_seconds: float
    proxies: int
    ticket_url: str | None
    """Where a ticket lives that a reason names, with `{ticket}` in its place."""
    recorded_days: int = 7
    """For how long recorded calls are kept, in the store and in Postgres."""
    recorded_calls: int = 50_000
    """How many recorded calls of each environment are kept in Postgres."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read every variable, or raise `SettingsError` for the first that is wrong. Empty counts as not set."""
        read = _Reader(environment)
        settings = cls(
            home=read("CONTROLPLANE_HOME", _home, _PROJECT / ".local"),
            port=read("PORT", _port, 8000),
            runtime_port=read("RUNTIME_PORT", _port, 8001),
            database_url=read("DATABASE_URL", _database_url, None, secret=True),
            database_owner_url=read("DATABASE_OWNER_URL", _database_url, None, secret=True),
            aws_endpoint_url=read("AWS_ENDPOINT_URL", _endpoint, None),
            aws_region=read("AWS_REGION", _region, "us-east-1"),
            table=read("CONTROLPLANE_TABLE", _table, "llm-controlplane"),
            bucket=read("CONTROLPLANE_BUCKET", _bucket, "llm-controlplane"),
            admin_email=read("ADMIN_EMAIL", _email, None),
            admin_password=read("ADMIN_PASSWORD", _password, None, secret=True),
            secure_cookies=read("CONTROLPLANE_SECURE_COOKIES", _switch, True),  # noqa: FBT003 - a default like the others
            poll_seconds=read("CONTROLPLANE_POLL_SECONDS", _seconds, 5.0),
            proxies=read("CONTROLPLANE_PROXIES", _proxies, 0),
            ticket_url=read("CONTROLPLANE_TICKET_URL", _ticket_url, None),
            recorded_days=read("CONTROLPLANE_RECORDED_DAYS", _whole(1, 90), 7),
            recorded_calls=read("CONTROLPLANE_RECORDED_CALLS", _whole(100, 1_000_000), 50_000),
        )
        # What other programs read for themselves is only checked: it should stop the start, not one of them later on.
        read("CONTROLPLANE_ENVIRONMENTS", _environments, None)
        read("CONTROLPLANE_PROVIDERS", _providers, None)
        read("CONTROLPLANE_RECORD_RATE", _rate, None)
        read("PG_BIN", _postgres_programs, None)
        if settings.port == settings.runtime_port:
            raise SettingsError("RUNTIME_PORT", str(settings.runtime_port), "another port than PORT")
        return settings


class _Wanted(ValueError):  # noqa: N818 - its text completes the sentence "must be ..."
    """What a value should have been; the reader adds the variable's name and the value."""


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def __call__(self, name: str, parse: Callable[[str], T], default: D, *, secret: bool = False) -> T | D:
        text = self._environment.get(name, "").strip()
        if not text:
            return default
        try:
            return parse(text)
        except _Wanted as wanted:
            raise SettingsError(name, text, str(wanted), secret=secret) from None


def _home(text: str) -> Path:
    path = Path(text).expanduser()
    if path.exists() and not path.is_dir():
        raise _Wanted("a directory (it may be missing: it is made)")
    return path.absolute()


def _port(text: str) -> int:
    # isascii as well: int() reads digits of every script, and a port in Devanagari is a slip of the keyboard.
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise _Wanted("a whole number from 1 to 65535")
    return int(text)


def _proxies(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 9):
        raise _Wanted("the number of proxies in front of the site, 0 to 9")
    return int(text)


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise _Wanted(f"a whole number from {least:,} to {most:,}")
        return int(text)

    return parse


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:  # also refuses nan
        raise _Wanted("a number from 0 to 1")
    return rate


def _database_url(text: str) -> str:
    """Accept the spellings people paste and hand on the one that SQLAlchemy and psycopg both understand."""
    scheme, separator, rest = text.partition("://")
    if scheme not in {"postgresql", "postgres", "postgresql+psycopg"} or not separator or not rest:
        raise _Wanted("a Postgres address such as postgresql://user:password@host:5432/database")
    return f"postgresql://{rest}"


def _endpoint(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        good = False
    if not good:
        raise _Wanted("an address such as http://127.0.0.1:4566")
    return text.rstrip("/")


def _ticket_url(text: str) -> str:
    if "{ticket}" not in text or urlsplit(text).scheme not in {"http", "https"}:
        raise _Wanted("an address with {ticket} in it, such as https://tickets.example.com/browse/{ticket}")
    return text


def _matching(pattern: str, wanted: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise _Wanted(wanted)
        return text

    return parse


_region = _matching(r"[a-z0-9-]+", "an AWS region such as eu-central-1")
_table = _matching(
    r"[A-Za-z0-9_.-]{3,255}", "a DynamoDB table name: 3 to 255 letters, digits, '_', '.' or '-'"
)
_bucket = _matching(
    r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "an S3 bucket name: 3 to 63 small letters, digits, '.' or '-'"
)
_email = _matching(r"[^@\s]+@[^@\s]+", "an e-mail address such as you@example.com")


_providers = _matching(r"live|echo", "live or echo")


def _environments(text: str) -> str:
    codes = [code.strip() for code in text.split(",")]
    if len(set(codes)) != len(codes) or not all(
        re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", code, re.ASCII) for code in codes
    ):
        raise _Wanted("codes with commas between them, each once, such as production,staging")
    return text


def _postgres_programs(text: str) -> str:
    for program in ("postgres", "initdb"):
        if not os.access(Path(text) / program, os.X_OK):
            raise _Wanted(
                f"a directory of Postgres programs, and there is no {program} in it that can be run"
            )
    return text


def _password(text: str) -> str:
    least, most = PASSWORD_LENGTH
    if not least <= len(text) <= most:
        raise _Wanted(f"{least} to {most} characters long")
    return text


def _switch(text: str) -> bool:
    if text.lower() not in _WORDS:
        raise _Wanted("yes or no")
    return _WORDS[text.lower()]


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.1 <= seconds <= 3600:  # also refuses nan, which compares false with everything
        raise _Wanted("a number of seconds from 0.1 to 3600")
    return seconds

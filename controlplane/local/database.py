"""Asking whether a Postgres that was named instead of the embedded one lets us in, before anything relies on it."""

import re

import psycopg
from psycopg.conninfo import conninfo_to_dict

_SECONDS = 5


def obstacle(url: str) -> str | None:
    """Why nobody gets in there, in one line without the password; nothing when we do."""
    try:
        psycopg.connect(url, connect_timeout=_SECONDS).close()
    except psycopg.OperationalError as error:
        said = re.search(r"FATAL:\s+(.+)|(server does not support SSL.*)", str(error))
        if said is None:
            return f"nothing answers at {_address(url)}."
        return f"{_address(url)} refuses: {said[1] or said[2]}."
    except psycopg.ProgrammingError:  # its text quotes the address, password and all
        return "cannot be read; signs such as @ / : % in a password must be written as %40 %2F %3A %25."
    return None


def _address(url: str) -> str:
    parts = conninfo_to_dict(url)
    host = str(parts.get("host") or parts.get("hostaddr") or "the local socket")
    # An @ left in a password as it is makes the rest of the password look like part of the host.
    return f"{host.rpartition('@')[2]}:{parts.get('port') or 5432}"

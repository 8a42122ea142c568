"""A real Postgres with nothing to install: our own supervisor of the server's programs.

Who is in charge is decided by two kernel locks, and who is alive by connecting and comparing `data_directory`; never
by process ids, which are reused. The process that starts a server owns it: the server ends when the owner stops it or
dies. Others that start on the same directory meanwhile borrow it. What a dead owner left behind is ended first.
"""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg import sql

from controlplane.local import guard, ports, processes
from controlplane.local.locks import FileLock, locked
from controlplane.local.postgres_files import (
    Account,
    PostgresError,
    Programs,
    account_for,
    find_programs,
    open_place,
)

__all__ = ["Postgres", "PostgresError", "temporary"]

_NAME = "controlplane"  # of the role, which owns everything, and of the database
_APPLICATION = "controlplane_app"  # of the role that programs connect as: it may not alter the record
_READY_SECONDS = 120.0  # recovery after a crash may have much to replay
_LEFTOVERS_SECONDS = 3.0
_FAST_SECONDS = 2.0
_IMMEDIATE_SECONDS = 0.6  # what a stop with a deadline keeps back for those that a "fast" one does not end
_TEMPORARY = "controlplane-postgres-"
_STALE_SECONDS = 600.0
_CLEAN = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}  # no PG* variable of ours may reach the server


class Postgres:
    """One server on one directory: `data`, the password, the last port, and the two locks lie in it."""

    def __init__(self, directory: Path, *, log: Path | None = None, fsync: bool = True) -> None:
        self._directory = directory
        self._log = log or directory / "postgres.log"
        self._fsync = fsync
        self._owner = FileLock(directory / "owner.lock")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """The data directory itself, wherever it had to be made."""
        return (self._directory / "data").resolve()

    @property
    def exited(self) -> bool:
        """Whether a server that this object started has ended without being asked to."""
        return self._process is not None and self._process.poll() is not None

    def start(self) -> str:
        """Have a server running on the directory, made at need, and say its address. Safe to call again and at once."""
        self._directory.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            self._directory.chmod(0o711)  # the account that the server runs as has to pass through
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            with locked(self._directory / "start.lock"):
                if self._owner.take(wait=False):
                    return self._serve()
                if (url := self._running()) is not None:
                    return url
            time.sleep(0.1)  # there is an owner whose server is gone: it starts it again, or goes as well
        raise PostgresError(
            f"Process {self._owner.owner()} owns {self._directory}, but its server does not answer."
        )

    def application_url(self) -> str:
        """The address as the role that web and worker connect as. Only while the server runs."""
        return self._url(int((self._directory / "port").read_text()), role=_APPLICATION)

    def ask_to_end(self) -> None:
        """Begin to end the server if this object started it; `stop` waits for the end."""
        if self._owner.held and self._process is not None:
            self._process.send_signal(signal.SIGINT)  # "fast": ends sessions, writes everything out

    def stop(self, deadline: float | None = None) -> None:
        """End the server if this object started it, waiting until nothing of it is left. A borrower leaves it be.

        With a deadline (of the monotonic clock) a server that is slow to end is ended the hard way in time for it.
        """
        if not self._owner.held:
            return
        if self._process is not None:
            self.ask_to_end()
            fast = _FAST_SECONDS if deadline is None else deadline - _IMMEDIATE_SECONDS - time.monotonic()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(max(0.0, fast))
            if deadline is None:
                self._end_leftovers()
            else:
                self._end_leftovers(max(0.1, deadline - time.monotonic()))
            self._process.wait()
            self._process = None
        self._owner.drop()

    def _serve(self) -> str:
        """As the owner: reuse our own living server, else clear the ground and start one."""
        if self._process is not None and not self.exited and (url := self._running()) is not None:
            return url
        try:
            self._password()
            account = account_for(self.data)
            programs = find_programs(os.environ, account, major=self._data_major())
            self._end_leftovers()
            if not self.data.exists():
                self._create(programs, account)
            (self.data / "postmaster.pid").unlink(
                missing_ok=True
            )  # nobody lives here now, whoever has that number
            return self._launch(programs, account)
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        self._end_leftovers()
        if self._process is not None:
            self._process.wait()
            self._process = None
        self._owner.drop()

    def _end_leftovers(self, immediate: float = _LEFTOVERS_SECONDS) -> None:
        data = self.data
        # "Immediate" for the server and its backends alike: what was committed is in the log and is replayed at the
        # next start.
        steps = ((signal.SIGQUIT, immediate), (signal.SIGKILL, 5.0))
        if not processes.end(lambda: processes.working_in(data), steps):
            raise PostgresError(f"Processes of an earlier server on {data} cannot be ended.")

    def _create(self, programs: Programs, account: Account | None) -> None:
        """Make the data beside their place and rename them into it: a crash leaves no half-made data behind."""
        place = open_place(self._directory, account)
        work = Path(tempfile.mkdtemp(prefix="new-", dir=place))
        password = work / "password"
        password.write_text(self._password())
        if account is not None:
            for path in (password, work):
                os.chown(path, account.uid, account.gid)
        try:
            self._initdb(programs, account, work)
            if place == self._directory:
                (work / "data").rename(place / "data")
            else:
                target = work.with_name(work.name.replace("new-", "data-"))
                (work / "data").rename(target)
                (self._directory / "data").symlink_to(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _initdb(self, programs: Programs, account: Account | None, work: Path) -> None:
        # The built-in C.UTF-8 sorts by code point and folds case by Unicode alike on every machine; it came with 17.
        provider = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if programs.major >= 17 else []
        result = subprocess.run(
            guard.command(
                [
                    *(str(programs.directory / "initdb"), "-D", str(work / "data"), "-U", _NAME),
                    *("--encoding=UTF8", "--locale=C", *provider, "--auth=scram-sha-256"),
                    *(f"--pwfile={work / 'password'}", *([] if self._fsync else ["--no-sync"])),
                ],
                on_death=signal.SIGTERM,
                account=_numbers(account),
            ),
            env=_CLEAN,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise PostgresError(f"initdb failed in {work}:\n{result.stderr.strip()}")

    def _launch(self, programs: Programs, account: Account | None) -> str:
        for port in self._ports():
            start_of_log = self._log.stat().st_size if self._log.exists() else 0
            self._process = self._spawn(programs, account, port)
            if (url := self._wait_ready(port)) is not None:
                (self._directory / "port").write_text(str(port))
                return url
            said = self._log.read_bytes()[start_of_log:].decode(errors="replace")
            if "could not bind" not in said:
                raise PostgresError(
                    f"Postgres did not start; the end of {self._log}:\n{said.strip()[-2000:]}"
                )
        raise PostgresError("Postgres found no free port on 127.0.0.1.")

    def _ports(self) -> Iterator[int]:
        """The last port first: whoever was told the address can go on using it. Then whatever is free."""
        with suppress(OSError, ValueError):
            last = int((self._directory / "port").read_text())
            if ports.obstacle(last) is None:
                yield last
        yield from (ports.any_free() for _ in range(5))

    def _spawn(self, programs: Programs, account: Account | None, port: int) -> subprocess.Popen[bytes]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "jit": "off",  # costs more than it gives on small queries
        }
        if not self._fsync:  # still safe when processes are killed; only not when the machine is
            settings |= {"fsync": "off", "full_page_writes": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        on_death = signal.SIGINT if self._fsync else signal.SIGQUIT
        with self._log.open("ab") as log:
            return subprocess.Popen(
                guard.command(
                    [str(programs.directory / "postgres"), "-D", str(self.data), *options],
                    on_death=on_death,
                    account=_numbers(account),
                ),
                env=_CLEAN,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait_ready(self, port: int) -> str | None:
        """The address once the server answers as the one on our data; nothing if it ends before."""
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if self.exited:
                return None
            if self._answers(port):
                self._ensure_database(port)
                return self._url(port)
            time.sleep(0.02)
        raise PostgresError(f"Postgres did not answer within {_READY_SECONDS:.0f} s; see {self._log}.")

    def _running(self) -> str | None:
        try:
            port = int((self._directory / "port").read_text())
        except (OSError, ValueError):
            return None
        return self._url(port) if self._answers(port) else None

    def _answers(self, port: int) -> bool:
        try:
            with self._connect(port) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.Error:
            return False
        return row is not None and Path(row[0]).resolve() == self.data

    def _ensure_database(self, port: int) -> None:
        with self._connect(port) as connection:
            there = connection.execute("SELECT FROM pg_database WHERE datname = %s", [_NAME]).fetchone()
            if there is None:
                connection.execute(f"CREATE DATABASE {_NAME}")
            there = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [_APPLICATION]).fetchone()
            verb = "CREATE" if there is None else "ALTER"
            connection.execute(
                sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(
                    sql.SQL(verb), sql.Identifier(_APPLICATION), self._application_password()
                )
            )

    def _connect(self, port: int) -> "psycopg.Connection[tuple[str, ...]]":
        return psycopg.connect(
            self._url(port, database="postgres"), autocommit=True, connect_timeout=5, options=""
        )

    def _url(self, port: int, *, database: str = _NAME, role: str = _NAME) -> str:
        # Said outright, or PGSSLMODE in somebody's environment would keep them out of their own server; and asking for
        # Kerberos in a forked web process ends it on macOS.
        query = "sslmode=disable&gssencmode=disable"
        password = self._password() if role == _NAME else self._application_password()
        return f"postgresql://{role}:{password}@127.0.0.1:{port}/{database}?{query}"

    def _password(self) -> str:
        """The password, made up before there are data to protect with it."""
        path = self._directory / "password"
        try:
            return path.read_text()
        except FileNotFoundError:
            if self.data.exists():
                raise PostgresError(
                    f"{path} is missing, and without it the data in {self.data} stay closed: "
                    "bring it back, or remove the data to begin again."
                ) from None
        except PermissionError:
            raise PostgresError(
                f"{path} belongs to another user: run as that user, or set CONTROLPLANE_HOME."
            ) from None
        return _made_up(path)

    def _application_password(self) -> str:
        """The other role's password; a lost one is made anew, since the role is told it at every start."""
        path = self._directory / "application-password"
        return path.read_text() if path.exists() else _made_up(path)

    def _data_major(self) -> int | None:
        path = self.data / "PG_VERSION"
        return int(path.read_text()) if path.exists() else None


def _made_up(path: Path) -> str:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(24))
        file.flush()
        os.fsync(file.fileno())
    return path.read_text()


def _numbers(account: Account | None) -> tuple[int, int] | None:
    return (account.uid, account.gid) if account else None


@contextmanager
def temporary(*, fsync: bool = False) -> Iterator[str]:
    """A server of one's own that is gone afterwards, for tests: gives the address of its empty database."""
    _sweep()
    directory = Path(tempfile.mkdtemp(prefix=_TEMPORARY))
    postgres = Postgres(directory, fsync=fsync)
    try:
        yield postgres.start()
    finally:
        postgres.stop()
        shutil.rmtree(postgres.data, ignore_errors=True)
        shutil.rmtree(directory, ignore_errors=True)


def _sweep() -> None:
    """Remove what killed test runs left: 40 MB each, on a machine where many are killed.

    The lock says that nobody uses it; the age, that nobody is just about to take the lock.
    """
    for directory in Path(tempfile.gettempdir()).glob(f"{_TEMPORARY}*"):
        with suppress(OSError):
            if (
                time.time() - directory.stat().st_mtime < _STALE_SECONDS
                or directory.stat().st_uid != os.geteuid()
            ):
                continue
            lock = FileLock(directory / "owner.lock")
            if lock.take(wait=False):
                shutil.rmtree((directory / "data").resolve(), ignore_errors=True)
                shutil.rmtree(directory, ignore_errors=True)
                lock.drop()

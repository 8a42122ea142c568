"""The copies on disk by themselves: which are kept, in which order they are offered, and what is never offered."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from controlplane.runtime.disk import DiskCopy, to_bytes
from tests.runtime.faults import pointer_to
from tests.runtime.serving import GOOD, NEXT


def save(disk: DiskCopy, *numbers: int) -> None:
    for number in numbers:
        disk.save(pointer_to(GOOD, number), GOOD)


def offered(disk: DiskCopy) -> list[int]:
    return [copy.pointer.release for copy in disk.copies()]


def test_three_are_kept_newest_first(tmp_path: Path) -> None:
    disk = DiskCopy(tmp_path / "new")
    save(disk, 1, 2, 3, 4, 5)
    assert offered(disk) == [5, 4, 3]


def test_good_ones_come_first_and_the_newest_good_one_is_never_pushed_out(tmp_path: Path) -> None:
    disk = DiskCopy(tmp_path)
    save(disk, 1, 2)
    assert disk.promote(1)
    assert disk.promote(2)
    save(disk, 3, 4, 5, 6)
    assert offered(disk) == [2, 6, 5]
    assert [copy.promoted for copy in disk.copies()] == [True, False, False]
    assert disk.promote(6)
    assert offered(disk) == [6, 2, 5]


def test_promoting_twice_is_fine_and_promoting_what_is_gone_is_said(tmp_path: Path) -> None:
    disk = DiskCopy(tmp_path)
    save(disk, 1)
    assert disk.promote(1)
    assert disk.promote(1)
    assert not disk.promote(2)


def test_saving_a_good_release_again_leaves_it_good_unless_it_was_damaged(tmp_path: Path) -> None:
    disk = DiskCopy(tmp_path)
    save(disk, 1)
    disk.promote(1)
    save(disk, 1)
    (path,) = tmp_path.iterdir()
    assert path.suffix == ".good"
    path.write_bytes(path.read_bytes()[:-9])
    save(disk, 1)
    (copy,) = disk.copies()
    assert (copy.data, copy.promoted) == (GOOD, False)


def test_what_another_version_of_the_library_keeps_is_left_alone_and_a_lower_one_s_is_read(
    tmp_path: Path,
) -> None:
    old, new = DiskCopy(tmp_path, reader=1), DiskCopy(tmp_path, reader=2)
    save(old, 1)
    save(new, 11, 12, 13, 14)
    save(old, 2, 3, 4)
    assert offered(old) == [4, 3, 2]
    assert offered(new) == [14, 13, 12, 4, 3, 2]


def test_a_copy_says_whether_these_rules_accepted_it(tmp_path: Path) -> None:
    disk = DiskCopy(tmp_path)
    save(disk, 1)
    assert [copy.checked for copy in disk.copies()] == [True]
    (path,) = tmp_path.iterdir()
    line, _, data = path.read_bytes().partition(b"\n")
    path.write_bytes(json.dumps({**json.loads(line), "checked_by": "somebody else"}).encode() + b"\n" + data)
    assert [copy.checked for copy in disk.copies()] == [False]


def test_a_copy_whose_line_says_another_number_than_its_name_is_passed_over(tmp_path: Path) -> None:
    """A flipped bit in the number of what is served would keep every release of the store out, as older ones."""
    disk = DiskCopy(tmp_path)
    save(disk, 1, 2)
    newest = sorted(tmp_path.iterdir())[1]
    newest.write_bytes(newest.read_bytes().replace(b'"release":2', b'"release":6', 1))
    assert offered(disk) == [1]


def test_a_good_release_stays_good_when_another_version_of_the_library_keeps_it_too(tmp_path: Path) -> None:
    disk = DiskCopy(tmp_path)
    save(disk, 1)
    disk.promote(1)
    (path,) = tmp_path.iterdir()
    path.write_bytes(to_bytes(pointer_to(GOOD, 1), GOOD, checked_by="somebody else"))
    save(disk, 1)
    assert [copy.promoted for copy in disk.copies()] == [True]


@pytest.mark.parametrize("good", [False, True])
def test_a_pointer_that_was_signed_anew_takes_the_place_of_the_one_that_is_kept(
    tmp_path: Path, good: bool
) -> None:
    disk = DiskCopy(tmp_path)
    save(disk, 1, 2)
    if good:
        disk.promote(2)
    before = next(disk.copies())
    renewed = pointer_to(GOOD, 2, key_id="new", signature="x")
    disk.renew(renewed)
    disk.renew(pointer_to(NEXT, 1))
    assert [copy.pointer for copy in disk.copies()] == [renewed, pointer_to(GOOD, 1)]
    assert next(disk.copies())._replace(age_seconds=0) == before._replace(pointer=renewed, age_seconds=0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_user_s_file_is_passed_over(tmp_path: Path) -> None:
    disk = DiskCopy(tmp_path)
    save(disk, 1, 2)
    os.chown(sorted(tmp_path.iterdir())[1], 12345, 12345)
    assert offered(disk) == [1]


def test_a_pipe_of_a_copy_s_name_keeps_nobody_waiting(tmp_path: Path) -> None:
    disk = DiskCopy(tmp_path)
    save(disk, 1, 2)
    newest = sorted(tmp_path.iterdir())[1]
    newest.unlink()
    os.mkfifo(newest)
    assert offered(disk) == [1]


@pytest.mark.parametrize("name", ["x.release", "5.reader1.release", "000000000005.release", ".x.tmp"])
def test_files_of_other_names_are_not_looked_at(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(pointer_to(GOOD, 5).to_json() + b"\n" + GOOD)
    assert offered(DiskCopy(tmp_path)) == []


def test_a_full_disk_leaves_the_copies_there_are(tmp_path: Path) -> None:
    """No file may be larger than a few bytes in the writing process: what it leaves is what a full disk would."""
    disk = DiskCopy(tmp_path)
    save(disk, 1)
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from controlplane.runtime import Pointer\n"
        "from controlplane.runtime.disk import DiskCopy\n"
        "pointer = Pointer.from_json(sys.stdin.buffer.readline())\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try:\n"
        "    DiskCopy(Path(sys.argv[1])).save(pointer, sys.stdin.buffer.read())\n"
        "except OSError as problem:\n"
        "    print(problem.errno)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        input=pointer_to(NEXT, 2).to_json() + b"\n" + NEXT,
        capture_output=True,
        check=True,
    )
    assert int(said.stdout) > 0
    assert offered(disk) == [1]
    assert len(list(tmp_path.iterdir())) == 1, "nothing half-written stays"


def test_a_folder_that_cannot_be_made_is_an_error_to_write_and_empty_to_read() -> None:
    disk = DiskCopy(Path("/proc/controlplane/production"))
    assert offered(disk) == []
    with pytest.raises(OSError, match="No such file"):
        save(disk, 1)

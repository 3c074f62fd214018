"""Folders of running processes: theirs while they live, cleared once they are gone."""

import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.errors import SpaceExhausted
from shared.postgres.owned_folders import clear_unowned, clear_unowned_files, lock_path, owned_file, owned_folder
from shared.postgres.scratch import clear_leftovers
from tests.support.faults import await_true

OWNER = """
import sys, time
from pathlib import Path
from shared.postgres.owned_folders import owned_folder
with owned_folder(Path(sys.argv[1])) as folder:
    (folder / "rows").write_text("secret rows")
    time.sleep(600)
"""


@pytest.mark.parametrize("name", ["dump-20261121T020000Z-app-7f3a", "restore-x-1", "restore-test-y-2"])
def test_the_folder_of_a_killed_owner_is_cleared_and_of_a_living_one_left(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    with subprocess.Popen([sys.executable, "-c", OWNER, str(folder)], cwd=Path(__file__).parents[2]) as owner:
        try:
            await_true("the folder", (folder / "rows").exists)
            assert clear_leftovers(tmp_path) == ()
            assert (folder / "rows").exists()
        finally:
            owner.send_signal(signal.SIGKILL)
    assert clear_leftovers(tmp_path) == (f"scratch folder {folder}",)
    assert list(tmp_path.iterdir()) == []


def test_an_owners_folder_and_lock_go_with_the_block(tmp_path: Path) -> None:
    with owned_folder(tmp_path / "deep" / "dump-a") as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert lock_path(folder).exists()
        (folder / "rows").touch()
    assert list((tmp_path / "deep").iterdir()) == []


def test_what_nobody_locked_here_is_somebody_elses_and_a_lock_alone_is_a_leftover(tmp_path: Path) -> None:
    (tmp_path / "dump-of-the-sea").mkdir()
    (tmp_path / "dump-begun.lock").touch()
    (tmp_path / "template-17.lock").touch()
    assert clear_unowned(tmp_path, ("dump-",)) == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dump-of-the-sea", "template-17.lock"]


def test_owners_begin_and_end_unharmed_while_others_clear(tmp_path: Path) -> None:
    def own(number: int) -> bool:
        with owned_folder(tmp_path / f"dump-{number}") as folder:
            (folder / "rows").touch()
            return (folder / "rows").exists()

    with ThreadPoolExecutor(4) as pool:
        clearing = [pool.submit(clear_unowned, tmp_path, ("dump-",)) for _ in range(200)]
        owning = [pool.submit(own, number) for number in range(200)]
        assert all(owned.result() for owned in owning)
        assert all(cleared.result() == () for cleared in clearing)
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_file_is_its_owners_until_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "goldcopy-of-a-dead-one.conf").touch()
    with owned_file("goldcopy-*.conf", "host=db") as path:
        assert path.stat().st_mode & 0o777 == 0o600
        clear_unowned_files("goldcopy-*.conf")
        assert [kept.read_text() for kept in tmp_path.iterdir()] == ["host=db"]
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_hold_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpaceExhausted, match="dump-a cannot be made in"), owned_folder(tmp_path / "file" / "dump-a"):
        raise AssertionError("a file holds no folder")

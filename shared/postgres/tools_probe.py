"""What the programs of one Postgres version in one folder are, and what they can do."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from shared.errors import GoldcopyError
from shared.postgres.process import minimal_environment, run_program

CLIENT_PROGRAMS = ("pg_dump", "pg_restore", "psql")
SERVER_PROGRAMS = ("postgres", "initdb")

_VERSION = re.compile(rb"\(PostgreSQL\) ((\d+)\S*)")
_WITHOUT_ICU = b"ICU is not supported in this build"
_PROBE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Toolset:
    """Programs of one Postgres version in one folder.

    Attributes:
        major: Major version.
        version: Whole version as the programs say it, such as 17.11.
        folder: Where the programs are.
        has_server: Whether postgres and initdb are among them.
        origin: Where it was found, for people.
    """

    major: int
    version: str
    folder: Path
    has_server: bool
    origin: str

    def program(self, name: str) -> Path:
        """Return the path of a program."""
        return self.folder / name

    @property
    def has_icu(self) -> bool:
        """Whether the server can use ICU collations."""
        return self.has_server and _has_icu(self.program("postgres"))

    def missing_extensions(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return those of the named extensions that a server of this toolset cannot load."""
        return tuple(name for name in names if not _has_extension(self, name))


@dataclass(frozen=True, slots=True)
class UnusableToolset:
    """Programs that are there and do not work.

    Attributes:
        folder: Where they are.
        reason: Why they do not count, with what to install where that is known.
    """

    folder: Path
    reason: str


def probe(folder: Path, origin: str) -> Toolset | UnusableToolset | None:
    """Look at the programs of a folder; None when it holds no client tools at all."""
    missing = [name for name in CLIENT_PROGRAMS if not (folder / name).is_file()]
    if missing:
        return None
    stamp = (folder / "pg_dump").stat().st_mtime_ns
    return _probe(folder, origin, stamp)


def missing_libraries(program: Path) -> tuple[str, ...]:
    """Return the shared libraries that a program or library needs and this machine lacks (Linux only)."""
    if sys.platform != "linux":
        return ()
    try:
        result = run_program(["ldd", program], environment=minimal_environment(), timeout_seconds=_PROBE_SECONDS)
    except GoldcopyError:
        return ()
    found = re.findall(rb"^\s*(\S+) => not found", result.stdout, re.MULTILINE)
    return tuple(dict.fromkeys(name.decode("ascii", "replace") for name in found))


def describe_missing_libraries(libraries: Sequence[str]) -> str:
    """Say which packages to install for libraries that are missing."""
    packages = [_PACKAGES.get(name.split(".so")[0], name) for name in libraries]
    return f"it needs {', '.join(libraries)}; on Debian: apt-get install {' '.join(dict.fromkeys(packages))}"


_PACKAGES = {
    "libxml2": "libxml2",
    "libzstd": "libzstd1",
    "liblz4": "liblz4-1",
    "libgssapi_krb5": "libgssapi-krb5-2",
    "libkrb5": "libgssapi-krb5-2",
    "libssl": "libssl3",
    "libcrypto": "libssl3",
    "libossp-uuid": "libossp-uuid16",
    "libreadline": "libreadline8",
    "libedit": "libedit2",
    "libldap": "libldap-2.5-0",
    "libldap-2.5": "libldap-2.5-0",
    "libxslt": "libxslt1.1",
    "libz": "zlib1g",
    "libicui18n": "libicu72",
    "libicuuc": "libicu72",
}


@cache
def _probe(folder: Path, origin: str, stamp: int) -> Toolset | UnusableToolset:  # noqa: ARG001  (part of the cache's key)
    answers = {}
    for name in CLIENT_PROGRAMS:
        version, reason = _ask_version(folder / name)
        if version is None:
            return UnusableToolset(folder, reason)
        answers[name] = version
    if len({major for _, major in answers.values()}) > 1:
        return UnusableToolset(folder, "its programs are of different versions")
    whole, major = answers["pg_dump"]
    has_server = all((folder / name).is_file() for name in SERVER_PROGRAMS)
    has_server = has_server and _ask_version(folder / "postgres")[0] is not None
    return Toolset(major, whole, folder, has_server, origin)


def _ask_version(program: Path) -> tuple[tuple[str, int] | None, str]:
    try:
        result = run_program([program, "--version"], environment=minimal_environment(), timeout_seconds=_PROBE_SECONDS)
    except GoldcopyError as error:
        return None, error.message
    match = _VERSION.search(result.stdout)
    if result.exit_code == 0 and match:
        return (match[1].decode("ascii", "replace"), int(match[2])), ""
    lacking = missing_libraries(program)
    if lacking:
        return None, f"{program.name} does not start: {describe_missing_libraries(lacking)}"
    return None, f"{program.name} --version does not answer: {result.stderr_tail.strip()[:200] or 'no message'}"


@cache
def _has_icu(postgres: Path) -> bool:
    """A server built without ICU holds the text of the error that says so."""
    return _WITHOUT_ICU not in postgres.read_bytes()


@cache
def _has_extension(toolset: Toolset, name: str) -> bool:
    for folder in _extension_folders(toolset):
        control = folder / f"{name}.control"
        if control.is_file():
            library = re.search(
                r"^\s*module_pathname\s*=\s*'\$libdir/([^']+)'", control.read_text("utf-8"), re.MULTILINE
            )
            return library is None or not any(
                missing_libraries(path) for path in _libraries(toolset, library[1]) if path.is_file()
            )
    return False


def _extension_folders(toolset: Toolset) -> tuple[Path, ...]:
    shared = _configured(toolset, "--sharedir")
    prefix = toolset.folder.parent
    folders = (shared, prefix / "share", prefix / "share/postgresql", Path(f"/usr/share/postgresql/{toolset.major}"))
    return tuple(folder / "extension" for folder in folders if folder)


def _libraries(toolset: Toolset, name: str) -> tuple[Path, ...]:
    configured = _configured(toolset, "--pkglibdir")
    prefix = toolset.folder.parent
    folders = (configured, prefix / "lib", prefix / "lib/postgresql")
    return tuple(folder / f"{name}.so" for folder in folders if folder)


@cache
def _configured(toolset: Toolset, question: str) -> Path | None:
    try:
        result = run_program(
            [toolset.program("pg_config"), question], environment=minimal_environment(), timeout_seconds=_PROBE_SECONDS
        )
    except GoldcopyError:
        return None
    return Path(result.stdout.decode().strip()) if result.exit_code == 0 else None

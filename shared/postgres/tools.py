"""Find client tools and servers of every major version, choose among them, and fetch the ones that are missing."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from shared.errors import ProgramMissing
from shared.postgres.process import search_path
from shared.postgres.tools_install import add_toolset, addable_majors
from shared.postgres.tools_probe import Toolset, UnusableToolset, probe

__all__ = [
    "Toolset",
    "UnusableToolset",
    "add_toolset",
    "addable_majors",
    "choose_client",
    "choose_server",
    "find_toolsets",
    "find_unusable",
]

_INSTALL_FOLDERS = (
    ("/usr/lib/postgresql", "*/bin"),  # Debian, Ubuntu
    ("/usr", "pgsql-*/bin"),  # Red Hat, SUSE (PGDG)
    ("/usr/local/pgsql", "bin"),  # built from source
    ("/usr/local/opt", "postgresql@*/bin"),  # Homebrew, Intel
    ("/opt/homebrew/opt", "postgresql@*/bin"),
    ("/opt/homebrew/opt", "libpq/bin"),
    ("/Applications/Postgres.app/Contents/Versions", "*/bin"),
    ("/usr/libexec", "postgresql*"),  # Alpine
)


def find_toolsets(tools_folder: Path) -> tuple[Toolset, ...]:
    """Return every toolset that works: PATH first, then the usual install folders, then what was fetched.

    Args:
        tools_folder: Where `add_toolset` puts what it fetches; need not exist.
    """
    return tuple(found for found in _survey(tools_folder) if isinstance(found, Toolset))


def find_unusable(tools_folder: Path) -> tuple[UnusableToolset, ...]:
    """Return what looks like a toolset and does not work, with reasons, for `goldcopy check`."""
    return tuple(found for found in _survey(tools_folder) if isinstance(found, UnusableToolset))


def choose_client(toolsets: Sequence[Toolset], server_major: int) -> Toolset:
    """Choose the tools for a server: of its own major version, else of the next newer one.

    Raises:
        ProgramMissing: All tools are older than the server; older ones refuse or lose things.
    """
    usable = [toolset for toolset in toolsets if toolset.major >= server_major]
    if not usable:
        raise ProgramMissing(
            f"no client tools for Postgres {server_major} were found{_found(toolsets)}",
            hint=f"Run `goldcopy tools add {server_major}`.",
        )
    return min(usable, key=lambda toolset: toolset.major)


def choose_server(
    toolsets: Sequence[Toolset], major: int, *, needs_icu: bool, extensions: Sequence[str]
) -> tuple[Toolset, tuple[str, ...]]:
    """Choose the server that can hold a restored database best.

    Args:
        toolsets: In order of preference.
        major: The source's major version; a restore test never uses another.
        needs_icu: Whether the database uses ICU collations.
        extensions: Names of the extensions that the database has.

    Returns:
        The toolset, and the extensions that even it lacks.

    Raises:
        ProgramMissing: No server of that version, or none with ICU where that is needed.
    """
    servers = [toolset for toolset in toolsets if toolset.has_server and toolset.major == major]
    if not servers:
        raise ProgramMissing(
            f"no Postgres {major} server was found{_found([toolset for toolset in toolsets if toolset.has_server])}",
            hint=f"Run `goldcopy tools add {major}`, or install the server of that version.",
        )
    fitting = [toolset for toolset in servers if toolset.has_icu or not needs_icu]
    if not fitting:
        raise ProgramMissing(
            f"the database uses ICU collations and no Postgres {major} server found here was built with ICU",
            hint=f"Install your system's package of Postgres {major} (postgresql-{major}), which has ICU.",
        )
    lacking = [(toolset, toolset.missing_extensions(extensions)) for toolset in fitting]
    return min(lacking, key=lambda pair: len(pair[1]))


def _survey(tools_folder: Path) -> Iterator[Toolset | UnusableToolset]:
    seen: set[Path] = set()
    for folder, origin in _candidates(tools_folder):
        try:
            real = folder.resolve()
            found = probe(folder, origin) if real not in seen else None
        except OSError:
            continue
        seen.add(real)
        if found:
            yield found


def _candidates(tools_folder: Path) -> Iterator[tuple[Path, str]]:
    for folder in search_path():
        if (folder / "pg_dump").exists():
            real = (folder / "pg_dump").resolve()
            # Debian's pg_dump on PATH is a script that picks a version by its own rules; what it picks is found below.
            if real.name == "pg_dump":
                yield (real.parent if (real.parent / "psql").exists() else folder), "PATH"
    for root, pattern in _INSTALL_FOLDERS:
        for folder in sorted(Path(root).glob(pattern), reverse=True):
            yield folder, str(folder.parent if folder.name == "bin" else folder)
    with suppress(PermissionError):  # a folder closed to this user: its tools cannot be run by it either
        for folder in sorted(tools_folder.glob("[1-9]*/[1-9]*/bin"), key=_version_of_folder, reverse=True):
            yield folder, "goldcopy tools"


def _version_of_folder(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", folder.parent.name))


def _found(toolsets: Sequence[Toolset]) -> str:
    versions = ", ".join(f"{toolset.version} ({toolset.origin})" for toolset in toolsets)
    return f"; found: {versions}" if versions else ""

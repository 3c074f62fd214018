"""A database to restore into for a test: on a throwaway server that fits the source, or on a configured one."""

import itertools
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from psycopg import sql

from shared.domain.manifest import Manifest
from shared.domain.proof import Finding, Severity
from shared.domain.role_facts import AppliedRoles
from shared.errors import GoldcopyError, ProgramMissing
from shared.operations.progress import OnProgress
from shared.operations.role_proof import apply_roles, recorded_roles, run_script
from shared.postgres.connection import DatabaseAddress
from shared.postgres.readback import quoted
from shared.postgres.scratch import create_database, start_scratch
from shared.postgres.tools import Toolset, choose_client, choose_server

_SUPERUSER = "postgres"


@dataclass(slots=True, kw_only=True)
class ScratchDatabase:
    """An empty database with the source's roles.

    Attributes:
        toolset: Client tools that fit both the server and the dump.
        address: The database, as a superuser.
        version: The server's version.
        missing_extensions: Extensions of the source that the server lacks.
        findings: What could not match, such as a collation.
        roles: How making the source's roles went.
    """

    toolset: Toolset
    address: DatabaseAddress
    version: str
    missing_extensions: tuple[str, ...]
    findings: list[Finding] = field(default_factory=list)
    roles: AppliedRoles = field(default_factory=AppliedRoles)
    _problem: Callable[[], GoldcopyError | None] = lambda: None

    def problem(self) -> GoldcopyError | None:
        """Return what is wrong with the server itself, if anything is."""
        return self._problem()

    def apply_settings(self, dump_folder: Path) -> list[Finding]:
        """Give the database its own owner, rights and settings; last, because they change how sessions work."""
        return run_script(self.address, dump_folder / "settings.sql", "database-settings", self.roles)


@contextmanager
def open_scratch_database(
    manifest: Manifest,
    dump_folder: Path,
    *,
    toolsets: Sequence[Toolset],
    scratch_folder: Path,
    configured: DatabaseAddress | None,
    on_progress: OnProgress,
) -> Iterator[ScratchDatabase]:
    """Start a server of the source's major version, or use the configured one, and make an empty database.

    Args:
        manifest: What the source is.
        dump_folder: The unpacked backup, for `roles.sql`.
        toolsets: Tools and servers to choose from.
        scratch_folder: Where scratch servers live.
        configured: A server to use instead, as a superuser.
        on_progress: Told of the step.

    Raises:
        ProgramMissing: No server fits.
        ProgramFailed: The server does not start.
        SourceProblem: The configured server cannot be used.
    """
    on_progress("start", 0, None)
    with ExitStack() as stack:
        if configured is None:
            scratch = _throwaway(stack, manifest, toolsets, scratch_folder, dump_folder)
        else:
            scratch = _on_configured(stack, manifest, toolsets, configured)
        scratch.roles, findings = apply_roles(scratch.address, dump_folder, is_scratch=True)
        scratch.findings += findings
        yield scratch


def _throwaway(
    stack: ExitStack, manifest: Manifest, toolsets: Sequence[Toolset], folder: Path, dump_folder: Path
) -> ScratchDatabase:
    server = manifest.server
    names = [extension.name for extension in manifest.extensions]
    toolset, missing = choose_server(toolsets, server.major, needs_icu=server.icu_in_use, extensions=names)
    running = stack.enter_context(start_scratch(toolset, folder, superuser=_superuser(manifest, dump_folder)))
    address, notes = create_database(running.address, "restored", server=server)
    return ScratchDatabase(
        toolset=_client(toolsets, toolset, manifest),
        address=address,
        version=running.version,
        missing_extensions=missing,
        findings=[_note(note) for note in notes],
        _problem=running.problem,
    )


def _on_configured(
    stack: ExitStack, manifest: Manifest, toolsets: Sequence[Toolset], configured: DatabaseAddress
) -> ScratchDatabase:
    with closing(configured.connect()) as connection:
        version_num = connection.info.server_version
        rows = connection.execute("SELECT name FROM pg_catalog.pg_available_extensions").fetchall()
        version = connection.info.parameter_status("server_version") or ""
    available = {str(row[0]) for row in rows}
    major = version_num // 10000
    if major != manifest.server.major:
        raise ProgramMissing(
            f"the configured scratch server is of version {major}, and the backup's source of {manifest.server.major}",
            hint="Give a server of the same major version in `[scratch] url`, or leave it out.",
        )
    stack.enter_context(_roles_as_before(configured))
    name = f"goldcopy_test_{secrets.token_hex(6)}"
    address, notes = create_database(configured, name, server=manifest.server)
    stack.callback(_drop_database, configured, name)
    return ScratchDatabase(
        toolset=choose_client(toolsets, max(major, _client_major(manifest))),
        address=address,
        version=version.split()[0],
        missing_extensions=tuple(item.name for item in manifest.extensions if item.name not in available),
        findings=[_note(note) for note in notes],
    )


def _client(toolsets: Sequence[Toolset], server: Toolset, manifest: Manifest) -> Toolset:
    """The server's own tools, unless a newer pg_dump made the dump, which older tools cannot read."""
    return server if server.major >= _client_major(manifest) else choose_client(toolsets, _client_major(manifest))


def _client_major(manifest: Manifest) -> int:
    return int(manifest.client_version.split(".")[0])


def _superuser(manifest: Manifest, dump_folder: Path) -> str:
    """Name the scratch server's own superuser as the source's first one, so that owners come out the same.

    A role that was no superuser at the source must not be one here: nothing would hold it back, as row security does.
    """
    superusers = _source_superusers(manifest, dump_folder)
    if superusers:
        return superusers[0]
    names = itertools.chain([_SUPERUSER], (f"goldcopy_scratch_{number}" for number in itertools.count(1)))
    return next(name for name in names if name not in manifest.roles)


def _source_superusers(manifest: Manifest, dump_folder: Path) -> Sequence[str]:
    recorded = recorded_roles(dump_folder)
    if recorded is not None:
        return [str(name) for name in recorded["superusers"]]
    # A backup of before roles were recorded: its script says who becomes a superuser.
    script = (dump_folder / "roles.sql").read_text("utf-8", "surrogateescape")
    named = [role for role in manifest.roles if f"ALTER ROLE {quoted(role, 'UTF8')} SUPERUSER" in script]
    return sorted(named, key=lambda role: role != _SUPERUSER)


@contextmanager
def _roles_as_before(server: DatabaseAddress) -> Iterator[None]:
    """Drop the roles that a test made on a server that lives on."""
    before = _role_names(server)
    try:
        yield
    finally:
        with closing(server.connect()) as connection:
            for name in sorted(_role_names(server) - before):
                connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


def _role_names(server: DatabaseAddress) -> set[str]:
    with closing(server.connect()) as connection:
        rows = connection.execute("SELECT rolname FROM pg_catalog.pg_roles").fetchall()
    return {str(row[0]) for row in rows}


def _drop_database(server: DatabaseAddress, name: str) -> None:
    with closing(server.connect()) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _note(text: str) -> Finding:
    return Finding(check="scratch-server", severity=Severity.WARNING, object="scratch server", message=text)

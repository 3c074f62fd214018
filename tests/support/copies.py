"""Copies of a database by pg_dump and pg_restore, as a backup and its restore make them."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from shared.postgres.connection import DatabaseAddress
from shared.postgres.process import run_program
from tests.support.postgres_servers import PostgresServer

ServerWith = Callable[..., PostgresServer]
"""Return a running server of a major that can load some extensions: `postgres_server_of(17, ("pgcrypto",))`."""

NASTY_SCHEMA = Path(__file__).parent / "nasty_schema.sql"


def copy_by_dump(server: PostgresServer, source: DatabaseAddress, *options: str) -> DatabaseAddress:
    """Dump a database and restore it into a new one of the same server; a complaint of either is an error."""
    target = server.new_database()
    with tempfile.TemporaryDirectory() as folder:
        dump = Path(folder) / "dump"
        with source.child_environment() as environment:
            argv: list[str | Path] = [
                server.toolset.program("pg_dump"),
                "-Fd",
                "-j2",
                "-Z0",
                "-f",
                dump,
                *options,
                "-d",
                "service=goldcopy",
            ]
            made = run_program(argv, environment=environment, timeout_seconds=120)
        assert made.exit_code == 0, made.stderr_tail
        with target.child_environment() as environment:
            argv: list[str | Path] = [server.toolset.program("pg_restore"), "-j2", "-d", "service=goldcopy", dump]
            restored = run_program(argv, environment=environment, timeout_seconds=120)
        assert restored.exit_code == 0, restored.stderr_tail
    return target

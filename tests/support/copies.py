"""Copies of a database by pg_dump and pg_restore, as a backup and its restore make them."""

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.postgres.archive import read_toc
from shared.postgres.connection import DatabaseAddress
from shared.postgres.process import run_program
from tests.support.postgres_servers import PostgresServer

ServerWith = Callable[..., PostgresServer]
"""Return a running server of a major that can load some extensions: `postgres_server_of(17, ("pgcrypto",))`."""

NASTY_SCHEMA = Path(__file__).parent / "nasty_schema.sql"
_NAME = r'(?:"(?:[^"]|"")*"|[^\s".,()]+)'


def copy_by_dump(server: PostgresServer, source: DatabaseAddress, *options: str) -> DatabaseAddress:
    """Dump a database and restore it into a new one of the same server; a complaint of either is an error."""
    target = server.new_database()
    with _dump(server, source, *options) as folder, target.child_environment() as environment:
        argv: list[str | Path] = [server.toolset.program("pg_restore"), "-j2", "-d", "service=goldcopy", folder]
        restored = run_program(argv, environment=environment, timeout_seconds=120)
    assert restored.exit_code == 0, restored.stderr_tail
    return target


def copy_columns_of_dump(server: PostgresServer, source: DatabaseAddress) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the columns of each table's COPY in a dump, in its order, by (schema, name)."""
    with _dump(server, source) as folder:
        entries = read_toc(folder / "toc.dat").data_files().values()
    return {(entry.schema, entry.tag): _columns(entry.copy_statement) for entry in entries}


@contextmanager
def _dump(server: PostgresServer, source: DatabaseAddress, *options: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder, source.child_environment() as environment:
        dump = Path(folder) / "dump"
        argv: list[str | Path] = [server.toolset.program("pg_dump"), "-Fd", "-j2", "-Z0", "-f", dump, *options]
        argv += ["-d", "service=goldcopy"]
        made = run_program(argv, environment=environment, timeout_seconds=120)
        assert made.exit_code == 0, made.stderr_tail
        yield dump


def _columns(copy_statement: str) -> tuple[str, ...]:
    listed = re.fullmatch(rf"COPY {_NAME}\.{_NAME} (?:\((.*)\))? ?FROM stdin;\n*", copy_statement, re.DOTALL)
    assert listed, copy_statement
    names = re.findall(_NAME, listed[1] or "")
    return tuple(name[1:-1].replace('""', '"') if name.startswith('"') else name for name in names)

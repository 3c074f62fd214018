"""Real Postgres servers of every major that is here, and fresh databases in them."""

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
from psycopg import sql

from shared.domain.manifest import ServerFacts
from shared.errors import ProgramMissing
from shared.postgres.connection import DatabaseAddress
from shared.postgres.process import run_program
from shared.postgres.scratch import clear_leftovers, create_database, start_scratch
from shared.postgres.tools import Toolset, choose_server, find_toolsets
from tests.support.tcp_proxy import TcpProxy

REPOSITORY_FOLDER = Path(__file__).parents[2]
TOOLS_FOLDER = Path(os.environ.get("GOLDCOPY_TOOLS") or REPOSITORY_FOLDER / ".goldcopy/tools")
CORPORA_FOLDER = Path(os.environ.get("GOLDCOPY_CORPORA") or REPOSITORY_FOLDER.parent / "shared/corpora")
SERVERS_FOLDER = Path(tempfile.gettempdir()) / f"goldcopy-tests-{os.geteuid()}"
PASSWORD = "correct horse battery staple"
PREFERRED_MAJORS = (17, 18, 16, 15, 14)
_CORPORA = {
    "chinook": ("chinook.dump",),
    "pagila": ("pagila.dump",),
    "northwind": ("northwind.dump",),
    "supabase_like": ("supabase_like_1_base.sql", "supabase_like_2_app.sql"),
}
_CORPUS_EXTENSIONS = {"supabase_like": ("pgcrypto", "uuid-ossp", "pg_stat_statements")}
_LOAD_SECONDS = 300.0
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server for a whole test session.

    Attributes:
        address: Its superuser over TCP with a password, in the database `postgres`.
        socket_address: The same over the socket, without a password.
        toolset: Programs of its own version.
        major: Its major version.
    """

    address: DatabaseAddress
    socket_address: DatabaseAddress
    toolset: Toolset
    major: int

    def new_database(self, name: str = "", *, template: str = "") -> DatabaseAddress:
        """Create a database, UTF8 with C.UTF-8, or a copy of another one."""
        chosen = name or f"db_{next(_numbers)}"
        if not template:
            facts = ServerFacts(
                server_version="",
                server_version_num=self.major * 10000,
                database=chosen,
                encoding="UTF8",
                collate="C.UTF-8",
                ctype="C.UTF-8",
            )
            return create_database(self.address, chosen, server=facts)[0]
        with self.address.connect() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(chosen), sql.Identifier(template))
            )
        return self.address.with_database(chosen)

    def drop_database(self, address: DatabaseAddress) -> None:
        """Drop a database, ending whoever is connected."""
        with self.address.connect() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(address.database))
            )


ServerOf = Callable[[int], PostgresServer]
CorpusDatabase = Callable[..., DatabaseAddress]


def run_sql(address: DatabaseAddress, statement: str) -> list[tuple[Any, ...]]:
    """Run SQL in a session of its own, with the usual search path; return the last statement's rows, if it has any."""
    with address.connect() as connection:
        connection.execute("RESET search_path")
        cursor = connection.execute(statement.encode())
        while cursor.nextset():
            pass
        return list(cursor.fetchall()) if cursor.description else []


def run_file(toolset: Toolset, address: DatabaseAddress, path: Path) -> None:
    """Load a dump or an SQL file with the toolset's own programs; any complaint is an error."""
    if path.suffix == ".dump":
        argv: list[str | Path] = [toolset.program("pg_restore"), "--exit-on-error", "--dbname=service=goldcopy", path]
    else:
        argv = [toolset.program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "service=goldcopy", "-f", path]
    with address.child_environment() as environment:
        result = run_program(argv, environment=environment, timeout_seconds=_LOAD_SECONDS)
    assert result.exit_code == 0, f"{path.name} does not load: {result.stderr_tail}"


def lacking(reason: str) -> NoReturn:
    """Skip the test with a visible reason; where CI=true it fails, so that nothing goes untested unseen."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def pytest_configure() -> None:
    """Take PG* variables of the developer's away: libpq would mix them into every connection."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]


def pytest_report_header() -> str:
    """Say which servers the tests run against."""
    found = find_toolsets(TOOLS_FOLDER)
    servers = ", ".join(f"{toolset.version} ({toolset.origin})" for toolset in found if toolset.has_server)
    return f"postgres servers: {servers or 'none; run `make tools`'}"


class _Servers:
    """Starts each server at most once a session."""

    def __init__(self, toolsets: Sequence[Toolset], stack: ExitStack) -> None:
        self._toolsets = toolsets
        self._stack = stack
        self._running: dict[Path, PostgresServer] = {}
        self._templates: dict[tuple[Path, str], DatabaseAddress] = {}

    def of(self, major: int, extensions: Sequence[str] = ()) -> PostgresServer:
        try:
            toolset, missing = choose_server(self._toolsets, major, needs_icu=False, extensions=extensions)
        except ProgramMissing as error:
            lacking(str(error))
        if missing:
            lacking(f"no Postgres {major} here can load {', '.join(missing)}")
        if toolset.folder not in self._running:
            server = self._stack.enter_context(
                start_scratch(toolset, SERVERS_FOLDER, memory_bytes=2 << 30, tcp_password=PASSWORD)
            )
            self._running[toolset.folder] = PostgresServer(
                server.address, server.socket_address, server.toolset, toolset.major
            )
        return self._running[toolset.folder]

    def preferred(self, extensions: Sequence[str] = ()) -> PostgresServer:
        for major in PREFERRED_MAJORS:
            servers = [toolset for toolset in self._toolsets if toolset.has_server and toolset.major == major]
            if any(not toolset.missing_extensions(extensions) for toolset in servers):
                return self.of(major, extensions)
        wanted = f" with {', '.join(extensions)}" if extensions else ""
        lacking(f"no Postgres server{wanted} here: run `goldcopy tools add {PREFERRED_MAJORS[0]}`")

    def corpus(self, server: PostgresServer, name: str) -> DatabaseAddress:
        """Load a corpus once per server; tests get copies."""
        key = (server.toolset.folder, name)
        if key not in self._templates:
            template = server.new_database(f"corpus_{name}")
            for file in _CORPORA[name]:
                if not (CORPORA_FOLDER / file).is_file():
                    lacking(f"the corpus {file} is not in {CORPORA_FOLDER}")
                run_file(server.toolset, template, CORPORA_FOLDER / file)
            self._templates[key] = template
        return self._templates[key]


@pytest.fixture(scope="session")
def toolsets() -> tuple[Toolset, ...]:
    """Every toolset of this machine and of the tools folder."""
    return find_toolsets(TOOLS_FOLDER)


@pytest.fixture(scope="session")
def _servers(toolsets: tuple[Toolset, ...]) -> Iterator[_Servers]:
    clear_leftovers(SERVERS_FOLDER)
    with ExitStack() as stack:
        yield _Servers(toolsets, stack)


@pytest.fixture(scope="session")
def postgres_server_of(_servers: _Servers) -> ServerOf:
    """Return the running server of a major version: `postgres_server_of(17)`."""
    return _servers.of


@pytest.fixture(scope="session")
def postgres_server(_servers: _Servers) -> PostgresServer:
    """A running server: Postgres 17, or what there is."""
    return _servers.preferred()


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[DatabaseAddress]:
    """A fresh empty database, as superuser over TCP."""
    address = postgres_server.new_database()
    yield address
    postgres_server.drop_database(address)


@pytest.fixture
def corpus_database(_servers: _Servers) -> Iterator[CorpusDatabase]:
    """Return a copy of a real database: `corpus_database("pagila")`, or of a major: `corpus_database("pagila", 15)`."""
    made: list[tuple[PostgresServer, DatabaseAddress]] = []

    def make(name: str, major: int | None = None) -> DatabaseAddress:
        extensions = _CORPUS_EXTENSIONS.get(name, ())
        server = _servers.of(major, extensions) if major else _servers.preferred(extensions)
        template = _servers.corpus(server, name)
        address = server.new_database(template=template.database)
        made.append((server, address))
        return address

    yield make
    for server, address in made:
        server.drop_database(address)


@pytest.fixture
def tcp_proxy() -> Iterator[Callable[[DatabaseAddress], TcpProxy]]:
    """Make a proxy in front of a server; reach it with its `through`."""
    with ExitStack() as stack:

        def make(address: DatabaseAddress) -> TcpProxy:
            parameters = address.parameters
            return stack.enter_context(TcpProxy(parameters["host"], int(parameters["port"])))

        yield make

"""Connections to the catalog's database: one place for everything in which SQLite and Postgres differ."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError

from shared.catalog.problems import mapped_problems
from shared.clock import monotonic_seconds, wait
from shared.errors import CatalogRefused, ConfigInvalid

BUSY_SECONDS = 60.0
_POSTGRES_DEFAULTS = {
    "connect_timeout": "10",
    "application_name": "goldcopy",
    "gssencmode": "disable",  # Supabase's pooler answers GSS negotiation in a way that libpq 15 takes for an error
    "keepalives_idle": "60",  # the catalog is idle while a long dump runs, and firewalls forget
    "keepalives_interval": "10",
    "keepalives_count": "6",
}
_WRITES = "goldcopy_writes"
_SUPPORTED = "Write sqlite:///path/to/catalog.db or postgresql+psycopg://user@host/database."


class Database:
    """The database of a catalog: hands out transactions, and names itself without a secret."""

    def __init__(self, engine: Engine, label: str) -> None:
        self._engine = engine
        self._writer = engine.execution_options(**{_WRITES: True})
        self.label = label

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a SQLite file."""
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that sees one state and changes nothing."""
        with mapped_problems(self.label), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that commits at the end, or leaves nothing behind; on SQLite writers queue here."""
        with mapped_problems(self.label), self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def open_database(url: str, *, read_only: bool = False) -> Database:
    """Make the engine for a catalog's URL; a SQLite file and its folder are created, readable by this user only.

    Args:
        url: `sqlite:///path` or `postgresql+psycopg://...`.
        read_only: Refuse writes, and create nothing.

    Raises:
        ConfigInvalid: The URL does not parse or names another kind of database.
        CatalogRefused: The file cannot be created, or is not there and `read_only` is set.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed, read_only=read_only)
    given = {name: value for name, value in parsed.query.items() if name in _POSTGRES_DEFAULTS}
    options = {"options": _with_read_only(parsed)} if read_only else {}
    engine = create_engine(
        parsed,
        pool_pre_ping=True,
        pool_size=5,
        max_overflow=20,
        hide_parameters=True,
        # Without prepared statements a pooler in transaction mode may stand in between.
        connect_args={**_POSTGRES_DEFAULTS, **given, "prepare_threshold": None, **options},
    )
    return Database(engine, _postgres_label(parsed))


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigInvalid("the catalog's URL does not parse", hint=_SUPPORTED) from None
    if parsed.drivername in {"postgres", "postgresql"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise ConfigInvalid(f"the catalog cannot be kept in {parsed.drivername!r}", hint=_SUPPORTED)
    if parsed.get_backend_name() == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise ConfigInvalid("the catalog must be a file, not a database in memory", hint=_SUPPORTED)
    return parsed


def _with_read_only(url: URL) -> str:
    given = url.query.get("options", "")
    return f"{given if isinstance(given, str) else ' '.join(given)} -c default_transaction_read_only=on".strip()


def _postgres_label(url: URL) -> str:
    host = url.host or url.query.get("host") or "the local socket"
    return f"{url.database or url.username} on {host}:{url.port or 5432} as {url.username or 'the default user'}"


def _sqlite(url: URL, *, read_only: bool) -> Database:
    path = Path(str(url.database))
    label = f"file {path}"
    _ensure_file(path, read_only=read_only)
    engine = create_engine(
        url,
        pool_size=5,
        max_overflow=20,
        hide_parameters=True,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare_sqlite(read_only=read_only))
    event.listen(engine, "begin", _begin_sqlite)
    return Database(engine, label)


def _ensure_file(path: Path, *, read_only: bool) -> None:
    if read_only and not path.exists():
        raise CatalogRefused(f"the catalog file {path} is not there", hint="Run a backup first, or correct the path.")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not read_only and not path.exists():
            _create(path)
    except OSError as error:
        raise CatalogRefused(
            f"the catalog file {path} cannot be created or opened: {error.strerror}",
            hint="Make its folder writable for this user, or set another path in the configuration.",
        ) from error


def _create(path: Path) -> None:
    """Make an empty file for this user only.

    A file that is there is never opened here: to close it would take away the locks that SQLite holds on it elsewhere
    in this process, and another process would then remove the write-ahead log under them.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _prepare_sqlite(*, read_only: bool) -> Callable[[sqlite3.Connection, object], None]:
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # sqlite3 begins nothing by itself; `_begin_sqlite` does
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")  # what was recorded survives a power cut
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            _when_free(lambda: _write_ahead(connection))

    return prepare


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Let readers and one writer work side by side; kept in the file, so it is switched only once."""
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode = WAL")


def _begin_sqlite(connection: Connection) -> None:
    """Take the lock before the first statement, so that no statement can fail for want of it.

    A writer that begins as a reader cannot wait for another writer: SQLite says "database is locked" at once.
    A reader may meet the short exclusive lock of a process that closes the file; it takes its snapshot here.
    """
    writes = connection.get_execution_options().get(_WRITES, False)
    raw: Any = connection.connection.dbapi_connection

    def begin() -> None:
        if writes:
            raw.execute("BEGIN IMMEDIATE")
            return
        raw.execute("BEGIN")
        try:
            raw.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
        except sqlite3.Error:
            raw.execute("ROLLBACK")
            raise

    _when_free(begin)


def _when_free(action: Callable[[], None]) -> None:
    """Repeat while another process holds the file; SQLite's own waiting does not cover every lock."""
    deadline = monotonic_seconds() + BUSY_SECONDS
    while True:
        try:
            return action()
        except sqlite3.OperationalError as error:
            busy = getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
            if not busy or monotonic_seconds() > deadline:
                raise
            wait(0.02)


def lock_name_space(connection: Connection, number: int) -> None:
    """Take a lock that lasts until the transaction ends; on SQLite every writing transaction is one already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})

"""Read chosen columns of tables and materialized views as COPY text, rows in physical order.

What COPY of a table leaves out (stored generated columns) or refuses (materialized views), a query gives. The same
statement in the same settings reads the source, in the dump's snapshot, and the restored database.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from threading import Timer

import psycopg

from shared.domain.manifest import DerivedRecord
from shared.postgres.connection import DatabaseAddress
from shared.postgres.facts import Connection
from shared.postgres.read_guard import ReadGuard
from shared.postgres.readback import copy_text, quoted
from shared.postgres.snapshot import break_off
from shared.postgres.tools import Toolset

_SMALL_BYTES = 1 << 20
"""Up to here a connection that is open already is quicker than a new psql; beyond, psql's pipe is several times faster
and leaves our threads alone."""

_PHYSICAL_ORDER = b"SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off"


class ColumnReader:
    """Reads one database over one connection, and large things with psql."""

    def __init__(
        self,
        toolset: Toolset,
        address: DatabaseAddress,
        encoding: str,
        *,
        session: Sequence[str] = (),
        begin: Sequence[str] = (),
        guard: ReadGuard | None = None,
        on_connect: Callable[[Connection], None] | None = None,
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            toolset: Has psql.
            address: The database.
            encoding: The database's own.
            session: Statements that every session begins with.
            begin: Statements that every read begins with, such as those that take a snapshot over: a transaction of
                its own for each, so that no lock is held while another one is waited for.
            guard: What ends a read that hangs; None to wait for ever.
            on_connect: Told of a connection, to break it off from outside.
        """
        self._toolset = toolset
        self._address = address
        self._encoding = encoding
        self._session = session
        self._begin = begin
        self._guard = guard
        self._on_connect = on_connect
        self._connection: Connection | None = None

    @contextmanager
    def text(self, record: DerivedRecord, about_bytes: int) -> Iterator[Iterator[bytes]]:
        """Hand out the text of a record's columns.

        Args:
            record: Names the table or view and its columns.
            about_bytes: How large it is, more or less.

        Raises:
            SourceProblem: The database is not to be reached.
            psycopg.Error: The server refuses, or the connection was broken off.
            ProgramProblem: psql ended badly, or nothing came for too long.
        """
        listed = ", ".join(quoted(column, self._encoding) for column in record.columns)
        name = f"{quoted(record.schema, self._encoding)}.{quoted(record.name, self._encoding)}"
        query = f"SELECT {listed} FROM ONLY {name}"
        copy = f"COPY ({query}) TO STDOUT"
        try:
            connection = self._connection = self._connection or self._connect()
            with self._watched(connection):
                if self._begin:
                    connection.execute(_bytes("; ".join(("ROLLBACK", *self._begin))))
                if about_bytes <= _SMALL_BYTES:
                    with connection.cursor() as cursor, cursor.copy(_bytes(copy)) as sent:
                        yield (bytes(chunk) for chunk in sent)
                        for _ in sent:  # whoever has seen enough leaves a rest, without which the connection is stuck
                            pass
                    return
                connection.execute(_bytes(f"{query} LIMIT 0"))  # what is missing or refused is told by an SQL error
            version = connection.info.server_version
            with copy_text(
                self._toolset,
                self._address,
                copy,
                self._encoding,
                version,
                before=(*self._session, *self._begin),
                guard=self._guard,
            ) as chunks:
                yield chunks
        except BaseException:
            self.close()  # its transaction has failed, or nobody knows where it stands
            raise

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def _connect(self) -> Connection:
        connection = self._address.connect(read_only=True)
        try:
            if self._on_connect:
                self._on_connect(connection)
            with self._watched(connection):
                connection.execute("SELECT pg_catalog.set_config('client_encoding', %s, false)", (self._encoding,))
                connection.execute(_PHYSICAL_ORDER)
                for statement in self._session:
                    connection.execute(_bytes(statement))
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _watched(self, connection: Connection) -> Iterator[None]:
        """Break the connection off when what is asked of it takes too long; only small things are asked."""
        if self._guard is None:
            yield
            return
        timer = Timer(self._guard.stall_seconds, partial(break_off, connection))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _bytes(statement: str) -> bytes:
    return statement.encode("utf-8", "surrogateescape")

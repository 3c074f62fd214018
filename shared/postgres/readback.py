"""Read a restored database back: the text of tables as pg_dump would write it, large objects, sequences.

A fingerprint is equal only when the session prints every value as pg_dump's session did: the settings of
`DatabaseAddress` (time zone, date style, bytea as hex, ...), the server's own encoding, and the columns by name in the
order of the dump. psql writes what COPY sends without looking at it, so one pipe reads 7 million narrow rows a second;
for small tables a connection that is open already is quicker than a new program.
"""

import hmac
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock
from typing import IO, cast

from psycopg import Connection as AnyConnection
from psycopg import errors, sql

from shared.domain.comparison import LargeObjectReading, SequenceReading, TableReading
from shared.domain.manifest import TableRecord
from shared.errors import ProgramFailed
from shared.postgres.connection import DatabaseAddress
from shared.postgres.names import Name
from shared.postgres.process import start_program
from shared.postgres.read_guard import ReadGuard
from shared.postgres.tools import Toolset

Connection = AnyConnection[tuple[object, ...]]

_HAS_TRANSACTION_TIMEOUT = 170000
_SETTINGS = {
    "bytea_output": "hex",
    "datestyle": "ISO",
    "enable_bitmapscan": "off",
    "enable_indexonlyscan": "off",
    "enable_indexscan": "off",
    "extra_float_digits": "3",
    "intervalstyle": "postgres",
    "lc_monetary": "C",
    "max_parallel_workers_per_gather": "0",
    "row_security": "off",
    "search_path": "",
    "statement_timeout": "0",
    "synchronize_seqscans": "off",
    "xmloption": "content",
}
"""What psql's session needs to print values as pg_dump's did, and a query's rows in physical order, beyond the time
zone, which the address gives it."""

_CONDITIONS = """
SELECT n.nspname, c.relname, configuration.condition
FROM pg_catalog.pg_extension e, LATERAL unnest(e.extconfig, e.extcondition) AS configuration (oid, condition)
JOIN pg_catalog.pg_class c ON c.oid = configuration.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE configuration.condition <> ''
"""

_PIPE_BYTES = 1 << 18
_SMALL_BYTES = 1 << 20
_BATCH_BYTES = 4 << 20
_BATCH_OBJECTS = 1000
_BATCH_SEQUENCES = 300
_STEP_BYTES = 1 << 20

_MISSING = (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName, errors.WrongObjectType)


def read_text(schema: str, name: str, chunks: Iterable[bytes], key: bytes) -> TableReading:
    """Count rows and bytes of COPY text and take its fingerprint."""
    mac, rows, plain_bytes = hmac.new(key, digestmod="sha256"), 0, 0
    for chunk in chunks:
        mac.update(chunk)
        rows += chunk.count(b"\n")
        plain_bytes += len(chunk)
    return TableReading(schema=schema, name=name, rows=rows, plain_bytes=plain_bytes, fingerprint=mac.hexdigest())


def copy_statement(table: TableRecord, encoding: str, condition: str = "") -> str:
    """Return `COPY schema.table (columns) TO STDOUT`, without a list for a table that has no columns."""
    listed = ", ".join(quoted(column, encoding) for column in table.columns)
    if condition:
        return f"COPY (SELECT {listed} FROM ONLY {_full_name(table, encoding)} {condition}) TO STDOUT"
    return f"COPY {_full_name(table, encoding)}{f' ({listed})' if listed else ''} TO STDOUT"


def quoted(name: str, encoding: str) -> str:
    """Quote one identifier so that a session in the database's own encoding understands it.

    In other encodings than UTF-8 letters beyond ASCII are written as escapes, which the server itself converts.
    SQL_ASCII converts nothing and takes the bytes as they are.
    """
    doubled = name.replace('"', '""')
    if name.isascii() or encoding in {"UTF8", "SQL_ASCII"}:
        return f'"{doubled}"'
    escaped = "".join(
        letter if letter.isascii() else f"\\+{ord(letter):06x}" for letter in doubled.replace("\\", "\\\\")
    )
    return f'U&"{escaped}"'


def _full_name(table: TableRecord, encoding: str) -> str:
    return f"{quoted(table.schema, encoding)}.{quoted(table.name, encoding)}"


@contextmanager
def copy_text(
    toolset: Toolset,
    address: DatabaseAddress,
    statement: str,
    encoding: str,
    server_version: int,
    *,
    before: Sequence[str] = (),
    guard: ReadGuard | None = None,
) -> Iterator[Iterator[bytes]]:
    """Run one COPY ... TO STDOUT and hand out its bytes as they come.

    Args:
        toolset: Has psql.
        address: The database.
        statement: The COPY.
        encoding: The database's own.
        server_version: Such as 170004; a server refuses settings that it does not know.
        before: Statements that the session begins with.
        guard: What ends a read that hangs; None to wait for ever.

    Raises:
        ProgramFailed: psql ended badly; raised when the bytes are used up.
    """
    arguments: list[str | Path] = [
        toolset.program("psql"),
        "-XAtq",
        "-v",
        "ON_ERROR_STOP=1",
        "-w",
        "-d",
        "service=goldcopy",
        *(argument for command in (*before, statement) for argument in ("-c", command)),
    ]
    settings = _SETTINGS | ({"transaction_timeout": "0"} if server_version >= _HAS_TRANSACTION_TIMEOUT else {})
    with (
        address.child_environment(settings=settings, encoding=encoding) as environment,
        start_program(arguments, environment=environment, pipe_stdout=True) as child,
    ):

        def chunks() -> Iterator[bytes]:
            stream = child.stdout
            while stream is not None and (chunk := _next_chunk(stream, guard)):
                yield chunk
            exit_code = child.wait()
            if exit_code != 0:
                raise ProgramFailed(
                    f"psql could not read a table back: {_first_line(child.stderr_tail)}",
                    hint="Look at the server's log; the restored database could not be compared.",
                )

        yield chunks()


def _next_chunk(stream: IO[bytes], guard: ReadGuard | None) -> bytes:
    if guard is None:
        return stream.read(_PIPE_BYTES)
    guard.wait_for(stream)
    return os.read(stream.fileno(), _PIPE_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadTable:
    """A table that could not be read back.

    Attributes:
        is_missing: It is not there, or lacks a column; else the server refused.
        reason: What the server said, without data.
    """

    is_missing: bool
    reason: str


class TableReader:
    """Reads tables of one database, several at a time."""

    def __init__(self, toolset: Toolset, address: DatabaseAddress, key: bytes, encoding: str) -> None:
        self._toolset = toolset
        self._address = address
        self._key = key
        self._encoding = encoding
        self._idle: SimpleQueue[Connection] = SimpleQueue()
        self._lock = Lock()
        self._known_conditions: dict[tuple[str, str], str] | None = None

    def read_all(
        self, tables: Sequence[TableRecord], *, threads: int = 2, on_read: Callable[[TableRecord], None]
    ) -> list[TableReading | UnreadTable]:
        """Read tables.

        Raises:
            SourceProblem: The server is not to be reached.
            ProgramFailed: psql ended badly for another reason.
        """

        def read(table: TableRecord) -> TableReading | UnreadTable:
            reading = self.read(table)
            on_read(table)
            return reading

        # The largest ones first, so that no thread is left alone with one at the end.
        order = sorted(range(len(tables)), key=lambda index: -tables[index].plain_bytes)
        pool = ThreadPoolExecutor(threads, thread_name_prefix="read-back")
        try:
            futures = {index: pool.submit(read, tables[index]) for index in order}
            return [futures[index].result() for index in range(len(tables))]
        finally:
            pool.shutdown(cancel_futures=True)
            self.close()

    def read(self, table: TableRecord) -> TableReading | UnreadTable:
        """Read one table, or say why not."""
        is_small = table.plain_bytes <= _SMALL_BYTES
        try:
            with self._connection() as connection:
                if is_small:
                    return self._read_small(connection, table)
                self._try_columns(connection, table)
        except _MISSING as error:
            return UnreadTable(is_missing=True, reason=_first_line(str(error)))
        except errors.InsufficientPrivilege as error:
            return UnreadTable(is_missing=False, reason=_first_line(str(error)))
        with self._copied(table) as chunks:
            return read_text(table.schema, table.name, chunks, self._key)

    def _statement(self, table: TableRecord) -> str:
        """Of an extension's configuration table only the rows that the extension names are dumped, and read back."""
        return copy_statement(table, self._encoding, self._conditions().get((table.schema, table.name), ""))

    def _conditions(self) -> dict[tuple[str, str], str]:
        with self._lock:
            if self._known_conditions is None:
                with self._connection() as connection:
                    rows = connection.execute(_CONDITIONS).fetchall()
                self._known_conditions = {(str(schema), str(name)): str(condition) for schema, name, condition in rows}
            return self._known_conditions

    @contextmanager
    def chunks(self, table: TableRecord) -> Iterator[Iterator[bytes]]:
        """Hand out the COPY text of one table."""
        with self._copied(table) as chunks:
            yield chunks

    def _copied(self, table: TableRecord) -> AbstractContextManager[Iterator[bytes]]:
        statement = self._statement(table)
        with self._connection() as connection:
            version = connection.info.server_version
        return copy_text(self._toolset, self._address, statement, self._encoding, version)

    def _read_small(self, connection: Connection, table: TableRecord) -> TableReading:
        statement = self._statement(table).encode("utf-8", "surrogateescape")
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            return read_text(table.schema, table.name, (bytes(chunk) for chunk in copy), self._key)

    def _try_columns(self, connection: Connection, table: TableRecord) -> None:
        """Ask for no row, so that a missing table is told from a psql that fails."""
        listed = ", ".join(quoted(column, self._encoding) for column in table.columns)
        query = f"SELECT {listed} FROM ONLY {_full_name(table, self._encoding)} LIMIT 0"
        connection.execute(query.encode("utf-8", "surrogateescape"))

    def _connect(self) -> Connection:
        """Open a session in the database's own encoding, so that nothing is converted on the way."""
        connection = self._address.connect(read_only=True)
        connection.execute("SELECT pg_catalog.set_config('client_encoding', %s, false)", (self._encoding,))
        return connection

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        try:
            connection = self._idle.get_nowait()
        except Empty:
            connection = self._connect()
        try:
            yield connection
        except errors.ProgrammingError:
            self._idle.put(connection)  # the server said no; the session is as good as before
            raise
        except BaseException:
            connection.close()
            raise
        self._idle.put(connection)

    def close(self) -> None:
        """Close the sessions that were kept for further reads."""
        while not self._idle.empty():
            self._idle.get().close()


def read_large_objects(connection: Connection, key: bytes) -> Iterator[LargeObjectReading]:
    """Yield every large object with the fingerprint of its content, in the order of OIDs.

    By `lo_get`, never by the rows of pg_largeobject: a restore writes out the holes of a sparse object, so its pages
    differ while its content is equal. Small ones come in batches, large ones in steps of 1 MiB.
    """
    batch: list[int] = []
    batch_bytes = 0
    for oid, size_bytes in _large_object_sizes(connection):
        if batch and (batch_bytes + size_bytes > _BATCH_BYTES or len(batch) >= _BATCH_OBJECTS):
            yield from _read_batch(connection, batch, key)
            batch, batch_bytes = [], 0
        if size_bytes > _STEP_BYTES:
            yield from _read_batch(connection, batch, key)
            batch, batch_bytes = [], 0
            yield _read_in_steps(connection, oid, key)
        else:
            batch.append(oid)
            batch_bytes += size_bytes
    yield from _read_batch(connection, batch, key)


def _large_object_sizes(connection: Connection) -> list[tuple[int, int]]:
    """Return OID and size, rounded up to pages, of every large object, empty ones included."""
    rows = connection.execute(
        """
        SELECT m.oid::bigint, coalesce((max(o.pageno) + 1) * 2048, 0)::bigint
        FROM pg_catalog.pg_largeobject_metadata m LEFT JOIN pg_catalog.pg_largeobject o ON o.loid = m.oid
        GROUP BY m.oid ORDER BY m.oid
        """
    ).fetchall()
    return [(cast(int, oid), cast(int, size_bytes)) for oid, size_bytes in rows]


def _read_batch(connection: Connection, oids: Sequence[int], key: bytes) -> Iterator[LargeObjectReading]:
    if not oids:
        return
    cursor = connection.execute(
        "SELECT oid::bigint, pg_catalog.lo_get(oid::oid) FROM unnest(%s::bigint[]) AS wanted (oid)",
        (list(oids),),
        binary=True,
    )
    for oid, value in cursor:
        content = cast(bytes, value)
        mac = hmac.new(key, content, digestmod="sha256")
        yield LargeObjectReading(oid=cast(int, oid), plain_bytes=len(content), fingerprint=mac.hexdigest())


def _read_in_steps(connection: Connection, oid: int, key: bytes) -> LargeObjectReading:
    mac, plain_bytes = hmac.new(key, digestmod="sha256"), 0
    while True:
        row = connection.execute(
            "SELECT pg_catalog.lo_get(%s::oid, %s::bigint, %s::int)", (oid, plain_bytes, _STEP_BYTES), binary=True
        ).fetchone()
        step = cast(bytes, row[0]) if row else b""
        mac.update(step)
        plain_bytes += len(step)
        if len(step) < _STEP_BYTES:
            return LargeObjectReading(oid=oid, plain_bytes=plain_bytes, fingerprint=mac.hexdigest())


def read_sequence_values(connection: Connection) -> list[SequenceReading]:
    """Read every sequence with its value, step and whether it cycles."""
    listed = cast(
        list[tuple[str, str, int, bool]],
        connection.execute(
            """
            SELECT n.nspname, c.relname, s.seqincrement, s.seqcycle
            FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relpersistence <> 't'
            ORDER BY 1, 2
            """
        ).fetchall(),
    )
    readings = []
    for begin in range(0, len(listed), _BATCH_SEQUENCES):
        batch = listed[begin : begin + _BATCH_SEQUENCES]
        query = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT {}::int, last_value, is_called FROM {}").format(place, Name(schema, name))
            for place, (schema, name, _increment, _cycles) in enumerate(batch)
        )
        for place, last_value, is_called in cast(list[tuple[int, int, bool]], connection.execute(query).fetchall()):
            schema, name, increment, cycles = batch[place]
            readings.append(
                SequenceReading(
                    schema=schema,
                    name=name,
                    last_value=last_value,
                    is_called=is_called,
                    increment=increment,
                    cycles=cycles,
                )
            )
    return readings


def _first_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[0][:300] if lines else "it gave no reason"

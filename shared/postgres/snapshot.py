"""Hold one instant of the source: a REPEATABLE READ transaction that exports its snapshot to pg_dump."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg import errors, sql

from shared.clock import utc_now
from shared.errors import SourceRefused, SourceUnreachable
from shared.postgres.connection import DatabaseAddress
from shared.units import format_duration

Connection = psycopg.Connection[tuple[object, ...]]

CLOCK_SKEW_NOTED = timedelta(seconds=60)
"""From here on a difference between the server's clock and ours is worth a warning: ages would be wrong by as much."""

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_EXPORT = """
SELECT pg_export_snapshot(), transaction_timestamp(), clock_timestamp(),
    pg_is_in_recovery(),
    CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
         ELSE pg_current_wal_lsn() END::text,
    pg_last_xact_replay_timestamp()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One instant of the source, readable while the context that made it is open.

    Attributes:
        connection: The transaction that holds the snapshot; everything read through it is of that instant.
        snapshot_id: What pg_dump takes as `--snapshot`.
        at: The recovery point by the server's clock, aware UTC: all that was committed before it is in the snapshot.
        local_at: The same moment by our clock, aware UTC.
        clock_skew: Server's clock minus ours, as far as the time for asking lets it be known.
        lsn: Write-ahead log position; on a standby the last one replayed; empty where the server does not say.
        is_standby: Whether the source is a read replica.
        replay_lag: On a standby, the age of the last replayed transaction; long as well when nothing is written.
    """

    connection: Connection
    snapshot_id: str
    at: datetime
    local_at: datetime
    clock_skew: timedelta
    lsn: str
    is_standby: bool
    replay_lag: timedelta | None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the backup should know about its instant."""
        found = []
        if abs(self.clock_skew) >= CLOCK_SKEW_NOTED:
            direction = "ahead of" if self.clock_skew > timedelta() else "behind"
            skew = format_duration(abs(self.clock_skew).total_seconds())
            found.append(f"the source's clock is {skew} {direction} this machine's")
        if self.is_standby:
            lag = f", last replayed transaction {self.replay_lag.total_seconds():.0f} s old" if self.replay_lag else ""
            found.append(f"the source is a read replica{lag}: the backup holds what it had received by then")
        return tuple(found)


def break_off(connection: Connection) -> None:
    """End a connection from another thread, so that whoever waits for an answer that never comes gets an error."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.pgconn.socket)) as line:
        line.shutdown(socket.SHUT_RDWR)


@contextmanager
def open_snapshot(
    address: DatabaseAddress, *, role: str = "", clock: Callable[[], datetime] = utc_now
) -> Iterator[Snapshot]:
    """Take a snapshot and hold it until the context ends.

    Args:
        address: The source.
        role: Role to SET, as pg_dump's `--role`; empty for the role that logs in.
        clock: Our own clock, aware UTC; read right before and after the server's.

    Raises:
        SourceUnreachable: The connection cannot be made, or breaks before the snapshot stands.
        SourceRefused: The server does not let this role in, or does not export a snapshot.
    """
    connection = address.connect()
    try:
        yield _take(connection, address.label, role, clock)
    finally:
        # A broken connection must not hide the error that ended the work; closing rolls back in any case.
        with suppress(psycopg.Error):
            connection.close()


def set_role(connection: Connection, role: str) -> None:
    """Act as `role` from here on, as pg_dump does with `--role`.

    Raises:
        SourceRefused: There is no such role, or the one that logs in may not become it.
    """
    if not role:
        return
    try:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    except (errors.InsufficientPrivilege, errors.InvalidParameterValue, errors.UndefinedObject) as error:
        raise SourceRefused(
            f"{connection.info.user} cannot become the dump role {role}",
            hint=f"Create the role, or GRANT {quoted(role)} TO {quoted(connection.info.user)}, or correct `role`.",
        ) from error


def quoted(*names: str) -> str:
    """Print names as one qualified SQL identifier, always quoted."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def _take(connection: Connection, label: str, role: str, clock: Callable[[], datetime]) -> Snapshot:
    try:
        set_role(connection, role)
        connection.execute(_BEGIN)
        asked_at = clock()
        row = connection.execute(_EXPORT).fetchone()
        answered_at = clock()
    except psycopg.OperationalError as error:
        raise SourceUnreachable(
            f"the connection to {label} broke while the snapshot was taken",
            hint="Look at the server, and run it again.",
        ) from error
    except psycopg.Error as error:
        raise SourceRefused(
            f"{label} does not give a snapshot: {str(error).splitlines()[0]}",
            hint="Connect to Postgres itself or to a pooler in session mode, not to a proxy that limits statements.",
        ) from error
    snapshot_id, began_at, server_at, is_standby, lsn, replayed_at = row or ()
    assert isinstance(began_at, datetime)
    assert isinstance(server_at, datetime)
    return Snapshot(
        connection=connection,
        snapshot_id=str(snapshot_id),
        at=began_at.astimezone(UTC),
        local_at=asked_at.astimezone(UTC),
        clock_skew=_skew(server_at, asked_at, answered_at),
        lsn=str(lsn or ""),
        is_standby=bool(is_standby),
        replay_lag=server_at - replayed_at if is_standby and isinstance(replayed_at, datetime) else None,
    )


def _skew(server_at: datetime, asked_at: datetime, answered_at: datetime) -> timedelta:
    """How far the server's clock is outside the interval in which it answered; zero inside."""
    if server_at < asked_at:
        return server_at - asked_at
    return server_at - answered_at if server_at > answered_at else timedelta()

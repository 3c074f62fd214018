"""Who asks for what to be restored: kept as asked, and closed by whoever carried it out or withdraws it."""

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, insert, select, update

from shared.catalog.app_models import RESTORE_REQUEST
from shared.catalog.app_writer import find_command, insert_command, require_command
from shared.catalog.audit_writer import append_entry
from shared.catalog.connection import Database
from shared.catalog.conversion import Row, simple_record
from shared.catalog.statements import cut

ACTION = "restore.request"


class RequestState(StrEnum):
    """How far a request has come."""

    REQUESTED = "requested"
    APPROVED = "approved"
    REFUSED = "refused"
    RUNNING = "running"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """What somebody asks for.

    Attributes:
        tables: `schema.table` each; empty for all.
        destination: Where to, in words or as a reference such as `env:NAME`; never a URL with a password.
    """

    source: str
    backup_id: str
    tables: tuple[str, ...]
    destination: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequestRecord(RestoreRequest):
    """The same, recorded, with what became of it."""

    id: int
    state: RequestState
    requested_by: str
    requested_at: datetime
    decided_by: str
    decided_at: datetime | None
    decision_reason: str
    run_reference: str
    finished_at: datetime | None
    outcome: str


class RestoreRequests:
    """Reads and writes requests for restores."""

    def __init__(self, database: Database, actor: str) -> None:
        self._database = database
        self._actor = actor

    def request_restore(self, token: str, request: RestoreRequest, *, actor: str, now: datetime) -> None:
        """Record a request with its audit entry; once per token.

        Raises:
            UsageProblem: The token was used for something else.
        """
        values = {"actor": actor, "action": ACTION, "object_name": request.backup_id}
        with self._database.writing() as connection:
            if find_command(connection, token, values) is not None:
                return
            begun = {"token": token, **values, "asked_at": now, "done_at": now, "result": {}}
            if not insert_command(connection, begun):
                require_command(connection, token, values)
                return
            _insert(connection, request, actor, now)

    def close_restore_request(self, number: int, state: RequestState, *, by: str, reason: str, now: datetime) -> bool:
        """Say what became of an open request.

        Args:
            number: Of the request.
            state: `DONE`, or `REFUSED` where it is withdrawn.
            by: Who says so.
            reason: Why, in their words.
            now: Aware instant.

        Returns:
            Whether it was open until now.
        """
        row = RESTORE_REQUEST.c
        values = {"state": state.value, "decided_by": by, "decided_at": now, "decision_reason": cut(reason)}
        open_one = update(RESTORE_REQUEST).where(row.id == number, row.state == RequestState.REQUESTED.value)
        with self._database.writing() as connection:
            return connection.execute(open_one.values(**values, finished_at=now)).rowcount == 1

    def restore_requests(self, *, limit: int) -> tuple[RestoreRequestRecord, ...]:
        """Return requests, newest first."""
        order = (RESTORE_REQUEST.c.requested_at.desc(), RESTORE_REQUEST.c.id.desc())
        with self._database.reading() as connection:
            rows = connection.execute(select(RESTORE_REQUEST).order_by(*order).limit(limit)).mappings()
            return tuple(_record(row) for row in rows)


def _insert(connection: Connection, request: RestoreRequest, actor: str, now: datetime) -> None:
    values = asdict(request) | {
        "tables": list(request.tables),
        "destination": cut(request.destination),
        "reason": cut(request.reason),
    }
    connection.execute(
        insert(RESTORE_REQUEST).values(
            **values, state=RequestState.REQUESTED.value, requested_by=actor, requested_at=now
        )
    )
    append_entry(
        connection,
        actor=actor,
        action=ACTION,
        object_name=request.backup_id,
        reason=request.reason,
        details={"destination": values["destination"], "tables": values["tables"]},
        now=now,
    )


def _record(row: Row) -> RestoreRequestRecord:
    return simple_record(RestoreRequestRecord, row, tables=tuple(row["tables"]), state=RequestState(row["state"]))

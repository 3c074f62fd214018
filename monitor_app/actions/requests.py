"""Commands with which somebody asks for a restore, and says what became of it; neither restores anything."""

import re

from monitor_app.actions.command import Done, Request, carry_out, check, required, writing
from monitor_app.site import Site
from shared.catalog.restore_requests import ACTION, RequestState, RestoreRequest
from shared.clock import utc_now
from shared.domain.backup import BackupStatus
from shared.domain.person import Person, Role
from shared.errors import UsageProblem

CLOSE_ACTION = "restore.request-close"
MOST_TABLES = 100
LONGEST_DESTINATION = 200
_TABLE = re.compile(r"[^\s.]{1,63}\.[^\s.]{1,63}")
_PASSWORD = re.compile(r"://[^/\s]*:[^/\s]*@|password\s*=", re.IGNORECASE)


def ask_for_restore(site: Site, user: Person, token: str, request: RestoreRequest) -> Done:
    """Ask for a restore.

    Raises:
        UsageProblem: Something is missing or cannot be, or the destination holds a password.
        NotAllowed: It takes an operator.
        BackupUnknown: There is no such backup.
    """
    _check(request)
    check(
        Request(
            user=user,
            needs=Role.OPERATOR,
            token=token,
            action=ACTION,
            subject=request.backup_id,
            reason=request.reason,
        )
    )
    with writing(site, user) as catalog:
        backup = catalog.backup(request.backup_id)
        if backup.source != request.source or backup.status is not BackupStatus.COMPLETE:
            raise UsageProblem(
                f"{request.backup_id} is not a backup of {request.source} that can be restored",
                hint="Choose one that is complete.",
            )
        catalog.request_restore(token, request, actor=user.name, now=utc_now())
    return Done(message=f"Asked for: {request.source} from {request.backup_id}. An operator carries it out.")


def close_request(site: Site, user: Person, token: str, *, number: int, state: RequestState, reason: str) -> Done:
    """Close an open request: it was carried out, or is withdrawn.

    Raises:
        UsageProblem: No reason, or no such open request.
        NotAllowed: It takes an operator.
    """
    why = required(reason, "the reason")

    def close() -> dict[str, str]:
        with writing(site, user) as catalog:
            if not catalog.close_restore_request(number, state, by=user.name, reason=why, now=utc_now()):
                raise UsageProblem(f"request {number} is not open", hint="Somebody closed it: look again.")
        return {}

    asked = Request(
        user=user,
        needs=Role.OPERATOR,
        token=token,
        action=CLOSE_ACTION,
        subject=f"request {number}",
        reason=why,
        details={"state": state.value},
    )
    carry_out(site, asked, close)
    return Done(message="Noted as done." if state is RequestState.DONE else "Withdrawn.")


def _check(request: RestoreRequest) -> None:
    required(request.destination, "the destination")
    required(request.reason, "the reason")
    if len(request.destination) > LONGEST_DESTINATION:
        raise UsageProblem(f"the destination is longer than {LONGEST_DESTINATION} characters", hint="Say it shorter.")
    if _PASSWORD.search(request.destination):
        raise UsageProblem(
            "the destination holds a password", hint="Name it, or refer to it as env:NAME; never write a password here."
        )
    if len(request.tables) > MOST_TABLES:
        raise UsageProblem(f"that is more than {MOST_TABLES} tables", hint="Ask for the whole backup.")
    odd = [name for name in request.tables if not _TABLE.fullmatch(name)]
    if odd:
        raise UsageProblem(f"{odd[0]!r} is not the name of a table", hint="Write schema.table, one on each line.")

"""Commands about backups: take one now, test one, hold and release, log one that was made elsewhere."""

from datetime import UTC, datetime

from monitor_app.actions.command import Done, Request, carry_out, check, required, writing
from monitor_app.actions.prefect_runs import start_run
from monitor_app.site import Site
from shared.catalog.app_records import ManualBackup
from shared.clock import utc_now
from shared.domain.backup import SOURCE_NAME, BackupKind
from shared.domain.person import Person, Role
from shared.errors import UsageProblem

MOST_BYTES = 10**18
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


def back_up_now(site: Site, user: Person, token: str, *, source: str, reason: str, kind: str = "manual") -> Done:
    """Ask Prefect for a backup of one source.

    Raises:
        UsageProblem: No such source, no reason, or not a kind of backup.
        NotAllowed: It takes an operator.
        ProgramFailed: Prefect did not take it.
    """
    site.config.source(source)
    why = required(reason, "the reason")
    if kind not in {BackupKind.MANUAL.value, BackupKind.PRE_DEPLOY.value}:
        raise UsageProblem(f"{kind!r} is not a kind that can be asked for", hint="Choose manual or pre-deploy.")
    parameters = {"source": source, "kind": kind, "reason": f"{why} ({user.name})"}
    request = _request(user, token, "backup.request", source, why, kind=kind)
    result = carry_out(
        site,
        request,
        lambda: {"run": start_run(site.config, "backup/manual", parameters, token=token, actor=user.name)},
    )
    return Done(message=f"A backup of {source} is asked for. It shows here when it has begun.", result=result)


def run_restore_test(site: Site, user: Person, token: str, *, subject: str, reason: str = "") -> Done:
    """Ask Prefect for a restore test of one backup, or of a source's newest.

    Raises:
        NotAllowed: It takes an operator.
        ProgramFailed: Prefect did not take it.
    """
    parameters = {"source": required(subject, "the backup")}
    request = _request(user, token, "restore-test.request", subject, reason.strip())
    result = carry_out(
        site,
        request,
        lambda: {"run": start_run(site.config, "restore-testing/manual", parameters, token=token, actor=user.name)},
    )
    return Done(message=f"A restore test of {subject} is asked for. Its evidence shows here.", result=result)


def place_hold(site: Site, user: Person, token: str, *, backup_id: str, reason: str) -> Done:
    """Forbid the expiry of a backup.

    Raises:
        UsageProblem: No reason, or no such backup.
        NotAllowed: It takes an operator.
        GoldcopyError: It cannot be held, or the hold cannot be kept beside the backup.
    """
    why = required(reason, "the reason")

    def hold() -> dict[str, str]:
        from shared.operations import holds
        from shared.wiring.parts import Parts

        repository = Parts(site.config).repository()
        with writing(site, user) as catalog:
            holds.place_hold(repository, catalog, backup_id, reason=why, now=utc_now(), owner=user.name)
        return {"backup_id": backup_id}

    result = carry_out(site, _request(user, token, "hold.request", backup_id, why), hold)
    return Done(message=f"{backup_id} is held by {user.name}: it will not expire.", result=result)


def release_hold(site: Site, user: Person, token: str, *, backup_id: str, owner: str, reason: str) -> Done:
    """Let a held backup expire again.

    Raises:
        UsageProblem: No reason, or no such hold.
        NotAllowed: It takes an operator for one's own hold, an admin for somebody else's.
        GoldcopyError: The release cannot be kept beside the backup.
    """
    why = required(reason, "the reason")

    def release() -> dict[str, str]:
        from shared.operations import holds
        from shared.wiring.parts import Parts

        repository = Parts(site.config).repository()
        with writing(site, user) as catalog:
            if any(hold.owner == owner for hold in catalog.holds_in_force(backup_id)):
                holds.release_hold(
                    repository, catalog, backup_id, now=utc_now(), reason=why, owner=owner, actor=user.name
                )
        return {"backup_id": backup_id}

    needs = Role.OPERATOR if owner == user.name else Role.ADMIN
    result = carry_out(
        site, _request(user, token, "release.request", backup_id, why, needs=needs, owner=owner), release
    )
    return Done(message=f"The hold of {owner} on {backup_id} is released.", result=result)


def log_manual_backup(site: Site, user: Person, token: str, backup: ManualBackup) -> Done:
    """Record a backup that was made without Goldcopy; it is shown, and never counted as protection.

    Raises:
        UsageProblem: Something is missing or cannot be.
        NotAllowed: It takes an operator.
    """
    _check_manual(backup, utc_now())
    check(_request(user, token, "backup.log", backup.source, backup.reason))
    with writing(site, user) as catalog:
        catalog.log_manual_backup(token, backup, actor=user.name, now=utc_now())
    return Done(message=f"Logged: a backup of {backup.source} at {backup.place}.", result={"source": backup.source})


def _check_manual(backup: ManualBackup, now: datetime) -> None:
    required(backup.place, "the place where it lies")
    required(backup.reason, "the reason")
    if not SOURCE_NAME.fullmatch(backup.source):
        raise UsageProblem(f"{backup.source!r} is not a name of a source", hint="Use a-z 0-9 . _ - only.")
    if backup.taken_at > now:
        raise UsageProblem("the backup is of a time to come", hint="Say when its data is of, with the time zone.")
    if backup.taken_at < _EARLIEST:
        raise UsageProblem(
            f"the backup is of before {_EARLIEST.year}", hint="Say when its data is of, with the year in full."
        )
    if not 0 < backup.stored_bytes <= MOST_BYTES:
        raise UsageProblem("the size is not one of a backup", hint="Give its size, more than 0.")


def _request(
    user: Person, token: str, action: str, subject: str, reason: str, *, needs: Role = Role.OPERATOR, **details: str
) -> Request:
    return Request(user=user, needs=needs, token=token, action=action, subject=subject, reason=reason, details=details)

"""Place and release holds: a held backup never expires, whatever the policy says.

A hold has an owner and a reason; it and its release stand in the audit trail, and beside the backup in the repository,
so that they outlive the catalog. Several owners may hold one backup; it may expire when the last of them has let go.
"""

from dataclasses import replace
from datetime import datetime

from shared.catalog.engine import Catalog
from shared.catalog.records import HoldRow
from shared.errors import IntegrityProblem, StoreProblem, UsageProblem
from shared.operations.evidence import keep_hold, keep_release
from shared.repository.repository import Repository


def place_hold(
    repository: Repository, catalog: Catalog, backup_id: str, *, reason: str, now: datetime, owner: str | None = None
) -> HoldRow:
    """Forbid the expiry of a backup until the hold is released.

    Args:
        repository: Where the backup is; opened with its fingerprint key.
        catalog: Where holds are in force.
        backup_id: The backup's id; it may be shortened while it is unique.
        reason: Why, for whoever finds the hold in two years.
        now: Aware instant.
        owner: Who holds it; who runs this unless given.

    Returns:
        The hold, durable in both; where this owner holds the backup already, that one.

    Raises:
        UsageProblem: There is no reason.
        ConfigInvalid: The fingerprint key is not here.
        BackupUnknown: There is no such backup, or several fit.
        RetentionRefused: It is not complete, or its expiry has begun.
        StoreProblem: The hold is in force, but a lost catalog would lose it: it cannot be written to the repository.
        DigestMismatch: The same; it is not stored as it was written.
    """
    if not reason.strip():
        raise UsageProblem("a hold needs a reason", hint='Give one, such as --reason "legal case 7".')
    _ = repository.fingerprint_key  # without it nothing can be written there: refused before anything is done
    backup = catalog.find_backup(backup_id)
    hold = catalog.place_hold(backup.id, owner=owner or catalog.actor, reason=reason.strip(), now=now)
    try:
        keep_hold(repository, backup.source, hold)
    except (StoreProblem, IntegrityProblem) as error:
        raise type(error)(
            f"the hold on {backup.id} is in the catalog but not in the repository, so it would be lost with the "
            f"catalog: {error.message}",
            hint="Mend the access to the repository and place the hold again.",
        ) from error
    return hold


def release_hold(
    repository: Repository,
    catalog: Catalog,
    backup_id: str,
    *,
    now: datetime,
    reason: str = "",
    owner: str | None = None,
    actor: str | None = None,
) -> HoldRow:
    """Let a held backup expire again when its time comes.

    Args:
        repository: Where the backup is; opened with its fingerprint key.
        catalog: Where holds are in force.
        backup_id: The backup's id; it may be shortened while it is unique.
        now: Aware instant.
        reason: Why, for the audit trail.
        owner: Whose hold; needed only where several owners hold the backup.
        actor: Who releases it; who runs this unless given.

    Raises:
        UsageProblem: No such hold is in force, or several are and no owner is named.
        ConfigInvalid: The fingerprint key is not here.
        BackupUnknown: There is no such backup, or several fit.
        StoreProblem: The release cannot be written to the repository; the hold stays in force.
        DigestMismatch: The same; it is not stored as it was written.
    """
    backup = catalog.find_backup(backup_id)
    by, why = actor or catalog.actor, reason.strip()
    held = [hold for hold in catalog.holds_in_force(backup.id) if owner in {None, hold.owner}]
    if len(held) == 1:  # else the catalog refuses, with the right words
        release = replace(held[0], released_at=now, released_by=by, release_reason=why)
        keep_release(repository, backup.source, release)
    return catalog.release_hold(backup.id, released_by=by, reason=why, now=now, owner=owner)

"""Place and release holds: a held backup never expires, whatever the policy says.

A hold has an owner and a reason; it and its release stand in the audit trail. Several owners may hold one
backup; it may expire when the last of them has let go. Holds are facts of the catalog alone.
"""

from datetime import datetime

from shared.catalog.engine import Catalog
from shared.catalog.records import HoldRow
from shared.errors import UsageProblem


def place_hold(catalog: Catalog, backup_id: str, *, reason: str, now: datetime, owner: str | None = None) -> HoldRow:
    """Forbid the expiry of a backup until the hold is released.

    Args:
        catalog: Where holds are kept.
        backup_id: The backup's id; it may be shortened while it is unique.
        reason: Why, for whoever finds the hold in two years.
        now: Aware instant.
        owner: Who holds it; who runs this unless given.

    Returns:
        The hold; where this owner holds the backup already, that one.

    Raises:
        UsageProblem: There is no reason.
        BackupUnknown: There is no such backup, or several fit.
        RetentionRefused: It is not complete, or its expiry has begun.
    """
    if not reason.strip():
        raise UsageProblem("a hold needs a reason", hint='Give one, such as --reason "legal case 7".')
    whole_id = catalog.find_backup(backup_id).id
    return catalog.place_hold(whole_id, owner=owner or catalog.actor, reason=reason.strip(), now=now)


def release_hold(
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
        catalog: Where holds are kept.
        backup_id: The backup's id; it may be shortened while it is unique.
        now: Aware instant.
        reason: Why, for the audit trail.
        owner: Whose hold; needed only where several owners hold the backup.
        actor: Who releases it; who runs this unless given.

    Raises:
        UsageProblem: No such hold is in force, or several are and no owner is named.
        BackupUnknown: There is no such backup, or several fit.
    """
    whole_id = catalog.find_backup(backup_id).id
    return catalog.release_hold(
        whole_id, released_by=actor or catalog.actor, reason=reason.strip(), now=now, owner=owner
    )

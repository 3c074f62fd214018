"""Which backup a restore test takes."""

from collections.abc import Callable, Sequence
from enum import StrEnum


class Pick(StrEnum):
    """How a restore test chooses its backup; `named` is one that was asked for by its id."""

    NEWEST = "newest"
    OLDEST = "oldest"
    RANDOM = "random"
    NAMED = "named"


def choose_backup(backup_ids: Sequence[str], pick: Pick, choose: Callable[[Sequence[str]], str]) -> str | None:
    """Choose one of a source's complete backups.

    Args:
        backup_ids: Ids, which sort by time; in any order.
        pick: Newest, oldest or random.
        choose: Draws one of several; given, so that the choice can be repeated.

    Returns:
        The id, or None when there is no backup.
    """
    ordered = sorted(backup_ids)
    if not ordered:
        return None
    match pick:
        case Pick.NEWEST:
            return ordered[-1]
        case Pick.OLDEST:
            return ordered[0]
        case Pick.RANDOM:
            return choose(ordered)
        case Pick.NAMED:
            raise ValueError("a named backup is not chosen")

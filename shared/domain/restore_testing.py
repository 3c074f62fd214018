"""Which backup a restore test takes."""

from collections.abc import Callable, Sequence
from enum import StrEnum


class Pick(StrEnum):
    """How a restore test chooses its backup; `named` is one that was asked for by its id."""

    NEWEST = "newest"
    OLDEST = "oldest"
    RANDOM = "random"
    NAMED = "named"


def choose_backup(oldest_first: Sequence[str], pick: Pick, choose: Callable[[Sequence[str]], str]) -> str | None:
    """Choose one of a source's complete backups.

    Args:
        oldest_first: Ids by recovery point; ids of one second do not sort by time themselves.
        pick: Newest, oldest or random.
        choose: Draws one of several; given, so that the choice can be repeated.

    Returns:
        The id, or None when there is no backup.
    """
    if not oldest_first:
        return None
    match pick:
        case Pick.NEWEST:
            return oldest_first[-1]
        case Pick.OLDEST:
            return oldest_first[0]
        case Pick.RANDOM:
            return choose(oldest_first)
        case Pick.NAMED:
            raise ValueError("a named backup is not chosen")

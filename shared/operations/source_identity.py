"""Look, before anything is dumped, whether a source's URL leads to the database that its earlier backups are of."""

from collections.abc import Sequence

from shared.domain.manifest import Manifest
from shared.domain.source_identity import Move, judge_move
from shared.errors import PreflightRefused
from shared.postgres.connection import DatabaseAddress
from shared.postgres.facts import Connection, read_system_identifier


def look_at_identity(connection: Connection, previous: Sequence[Manifest]) -> Move:
    """Compare the connected database with that of a source's newest backup.

    Args:
        connection: The source.
        previous: Its earlier manifests, newest first.
    """
    last = previous[0] if previous else None
    # Asked of the server: a pooler may know the database under another name.
    (database,) = connection.execute("SELECT current_database()").fetchone() or ("",)
    return judge_move(
        str(database),
        read_system_identifier(connection),
        last.server if last else None,
        last.backup_id if last else "",
    )


def require_same_source(
    address: DatabaseAddress, source: str, previous: Sequence[Manifest], *, may_have_moved: bool
) -> tuple[str, ...]:
    """Refuse to go on with another database on another server, unless a person says that this is meant.

    Args:
        address: Where the source is now.
        source: Its name.
        previous: Its earlier manifests, newest first.
        may_have_moved: Whether a person said so.

    Returns:
        Warnings that belong into the backup.

    Raises:
        PreflightRefused: It leads elsewhere.
        SourceProblem: It cannot be reached.
    """
    with address.connect(read_only=True) as connection:
        move = look_at_identity(connection, previous)
    if move.is_refused and not may_have_moved:
        raise PreflightRefused(f"{source}: {move.warning}", hint=moved_hint(source))
    return (move.warning,) if move.warning else ()


def moved_hint(source: str) -> str:
    """Say how to go on with a source that leads elsewhere."""
    return (
        f"Correct the url, or give the other database a source of its own; if {source} moved on purpose, say so once: "
        f"goldcopy backup {source} --moved --reason WHY."
    )

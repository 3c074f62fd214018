"""Decide whether a source's URL still leads to the database that its earlier backups are of.

A wrong URL is the quietest way to lose a database: its backups go on, of another one. After a disaster another server
is what is wanted, and a renamed database is no crime; so only both together are refused. What is odd is said, and stays
in the backup's warnings.
"""

from dataclasses import dataclass

from shared.domain.manifest import ServerFacts


@dataclass(frozen=True, slots=True)
class Move:
    """How a source differs from what it was at its last backup.

    Attributes:
        warning: One sentence for people; empty where nothing differs.
        is_refused: Whether a person has to say that it is meant.
    """

    warning: str = ""
    is_refused: bool = False


def judge_move(database: str, system_identifier: str, last: ServerFacts | None, last_backup_id: str) -> Move:
    """Compare the database behind a source's URL with that of its last backup.

    Args:
        database: The database's name.
        system_identifier: Of its cluster; empty where it may not be read.
        last: The same of the last backup; None when there is none.
        last_backup_id: Names that backup.
    """
    if last is None:
        return Move()
    other_name = database != last.database
    both_known = bool(system_identifier and last.system_identifier)
    other_server = both_known and system_identifier != last.system_identifier
    if not (other_name or other_server):
        return Move()
    present, before = _words(database, system_identifier), _words(last.database, last.system_identifier)
    if other_name and other_server:
        what = "its url leads to another database on another server"
    else:
        what = "its url leads to another database" if other_name else "its url leads to another server"
    return Move(f"{what}: {present}; the last backup {last_backup_id} is of {before}", other_name and other_server)


def _words(database: str, system_identifier: str) -> str:
    return f"{database} on system {system_identifier or 'unknown'}"

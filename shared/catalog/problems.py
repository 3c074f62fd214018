"""Turn what a database driver raises into one sentence that says what happened and one that says what to do."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.errors import CatalogProblem, CatalogRefused

_SPACE = "Free space on the disk that holds the catalog; backups already in the repository are not affected."
_ACCESS = "Give the catalog's login the rights that docs/catalog.md lists, or use another login."
_LATER = "Try again; if it stays so, look at the catalog server's log."
_DAMAGED = "Move the file away and run `goldcopy rebuild-catalog`: the repository knows every backup."

# sqlite3's name of the error begins with one of these; the first that fits counts.
_SQLITE = (
    ("SQLITE_FULL", CatalogRefused, "the disk is full", _SPACE),
    # What a full disk is called when the file for the shared memory of the write-ahead log cannot grow.
    ("SQLITE_IOERR_SHMSIZE", CatalogRefused, "the disk is full", _SPACE),
    ("SQLITE_READONLY", CatalogRefused, "it is read-only", "Make the file and its folder writable for this user."),
    ("SQLITE_CANTOPEN", CatalogRefused, "the file cannot be opened", "Check the folder's path and permissions."),
    ("SQLITE_PERM", CatalogRefused, "permission denied", "Make the file and its folder writable for this user."),
    ("SQLITE_CORRUPT", CatalogRefused, "the file is damaged", _DAMAGED),
    ("SQLITE_NOTADB", CatalogRefused, "the file is not a catalog", _DAMAGED),
    ("SQLITE_IOERR", CatalogProblem, "the disk reported an error", "Check the disk; the repository is not affected."),
    ("SQLITE_BUSY", CatalogProblem, "another process kept it locked", "Find and end the process that holds it."),
    ("SQLITE_LOCKED", CatalogProblem, "another process kept it locked", "Find and end the process that holds it."),
)

# SQLSTATE begins with one of these.
_POSTGRES = (
    ("28P01", CatalogRefused, "wrong password", "Correct the password in the catalog's URL."),
    ("28", CatalogRefused, "the login was refused", "Check user and password in the catalog's URL and pg_hba.conf."),
    ("3D000", CatalogRefused, "no such database", "Create the database, or correct its name in the catalog's URL."),
    ("42501", CatalogRefused, "permission denied", _ACCESS),
    ("25006", CatalogRefused, "it is read-only", "Point the catalog's URL at the primary server, not at a standby."),
    ("53100", CatalogRefused, "the disk is full", _SPACE),
    ("53", CatalogProblem, "the server has no connection or memory left", _LATER),
    ("57P03", CatalogProblem, "the server is starting or stopping", _LATER),
    ("57", CatalogProblem, "the server ended the connection", _LATER),
    ("40", CatalogProblem, "two writers were in each other's way", _LATER),
    ("42P01", CatalogRefused, "a table is missing", "Run `goldcopy rebuild-catalog` in an empty database."),
)

# A connection that fails has no SQLSTATE in psycopg; libpq's words have to do.
_POSTGRES_WORDS = (
    ("password authentication failed", "28P01"),
    ("no password supplied", "28P01"),
    ("no pg_hba.conf entry", "28000"),
    ("role", "28000"),
    ("database", "3D000"),
    ("too many", "53300"),
    ("starting up", "57P03"),
    ("shutting down", "57P03"),
)


class RowRefused(CatalogRefused):
    """A constraint of the database refused a row."""


@contextmanager
def mapped_problems(label: str) -> Iterator[None]:
    """Raise `CatalogProblem` instead of what the driver raises.

    Args:
        label: Where the catalog is, without a secret.

    Raises:
        CatalogProblem: May work later.
        CatalogRefused: Will not work before a person has done something.
    """
    try:
        yield
    except PoolTimeout as error:
        raise CatalogProblem(f"the catalog {label} has no free connection", hint=_LATER) from error
    except DBAPIError as error:
        # The cause is the driver's own error: SQLAlchemy's would print the statement into every log.
        raise _problem(label, error.orig) from error.orig
    except sqlite3.Error as error:
        raise _problem(label, error) from error


def _problem(label: str, original: BaseException | None) -> CatalogProblem:
    # Loading psycopg takes longer than most commands on a SQLite catalog do.
    from psycopg import Error as PostgresError
    from psycopg import IntegrityError as PostgresIntegrityError

    if isinstance(original, sqlite3.IntegrityError | PostgresIntegrityError):
        return RowRefused(
            f"the catalog {label} refused a row: {_first_line(original)}",
            hint="Run `goldcopy rebuild-catalog`, which compares the catalog with the repository and mends it.",
        )
    if isinstance(original, sqlite3.Error):
        name = getattr(original, "sqlite_errorname", "")
        for prefix, kind, words, hint in _SQLITE:
            if name.startswith(prefix):
                return kind(f"the catalog {label} cannot be used: {words}", hint=hint)
    if isinstance(original, PostgresError):
        state = original.sqlstate or _state_from_words(str(original))
        for prefix, kind, words, hint in _POSTGRES:
            if state.startswith(prefix):
                return kind(f"the catalog {label} cannot be used: {words}", hint=hint)
    return CatalogProblem(
        f"the catalog {label} cannot be reached or used: {_first_line(original)}",
        hint="Check that its server is up and that host and port in the catalog's URL are right.",
    )


def _state_from_words(message: str) -> str:
    if "FATAL" not in message:
        return ""
    return next((state for words, state in _POSTGRES_WORDS if words in message), "")


def _first_line(original: BaseException | None) -> str:
    lines = str(original).strip().splitlines()
    return lines[0][:300] if lines else type(original).__name__

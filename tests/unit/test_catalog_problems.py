"""What a database driver raises becomes one sentence, retryable exactly when waiting may help."""

import sqlite3

import pytest
from psycopg import OperationalError, errors
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.catalog.problems import RowRefused, mapped_problems
from shared.catalog.statements import MAXIMUM_TEXT, error_facts
from shared.errors import CatalogProblem, SourceRefused


def _sqlite(name: str, message: str = "from the driver") -> sqlite3.Error:
    error = sqlite3.OperationalError(message)
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize(
    ("original", "words", "retryable"),
    [
        (_sqlite("SQLITE_FULL"), "the disk is full", False),
        (_sqlite("SQLITE_IOERR_SHMSIZE", "disk I/O error"), "the disk is full", False),
        (_sqlite("SQLITE_READONLY_DBMOVED"), "it is read-only", False),
        (_sqlite("SQLITE_CANTOPEN"), "the file cannot be opened", False),
        (_sqlite("SQLITE_CORRUPT"), "the file is damaged", False),
        (_sqlite("SQLITE_NOTADB"), "the file is not a catalog", False),
        (_sqlite("SQLITE_BUSY_SNAPSHOT"), "another process kept it locked", True),
        (_sqlite("SQLITE_IOERR_FSYNC"), "the disk reported an error", True),
        (_sqlite("SQLITE_ERROR", "no such table: x"), "no such table: x", True),
        (errors.DiskFull("x"), "the disk is full", False),
        (errors.InvalidPassword("x"), "wrong password", False),
        (errors.InsufficientPrivilege("x"), "permission denied", False),
        (errors.ReadOnlySqlTransaction("x"), "it is read-only", False),
        (errors.UndefinedTable("x"), "a table is missing", False),
        (errors.AdminShutdown("x"), "the server ended the connection", True),
        (errors.CannotConnectNow("x"), "the server is starting or stopping", True),
        (errors.TooManyConnections("x"), "no connection or memory left", True),
        (errors.DeadlockDetected("x"), "in each other's way", True),
        (OperationalError('FATAL:  database "x" does not exist'), "no such database", False),
        (OperationalError('FATAL:  role "x" does not exist'), "the login was refused", False),
        (OperationalError("server closed the connection unexpectedly\n\tmore"), "server closed the connection", True),
    ],
)
def test_driver_error_becomes_one_clear_sentence(original: Exception, words: str, retryable: bool) -> None:
    with pytest.raises(CatalogProblem, match=words) as caught, mapped_problems("file x"):
        raise DBAPIError("SELECT secret FROM t", {"password": "hunter2"}, original)
    assert caught.value.retryable is retryable
    assert caught.value.message.startswith("the catalog file x ")
    assert "\n" not in caught.value.message
    assert caught.value.hint.endswith(".")
    assert caught.value.__cause__ is original


@pytest.mark.parametrize("original", [sqlite3.IntegrityError("UNIQUE failed"), errors.UniqueViolation("duplicate key")])
def test_refused_row_is_told_apart(original: Exception) -> None:
    with pytest.raises(RowRefused, match="refused a row"), mapped_problems("x"):
        raise DBAPIError("INSERT", {}, original)


def test_no_free_connection_may_be_tried_again() -> None:
    with pytest.raises(CatalogProblem, match="no free connection") as caught, mapped_problems("x"):
        raise PoolTimeout("QueuePool limit")
    assert caught.value.retryable


def test_error_of_ours_is_recorded_with_its_code_and_cut() -> None:
    facts = error_facts(SourceRefused("m" * 5000, hint="h"))
    assert facts["error_code"] == SourceRefused.code
    assert len(facts["error_message"]) == MAXIMUM_TEXT


@pytest.mark.parametrize("error", [ValueError("hunter2"), KeyboardInterrupt("hunter2"), SystemExit("hunter2")])
def test_foreign_error_is_recorded_by_its_class_alone(error: BaseException) -> None:
    message = error_facts(error)["error_message"]
    assert type(error).__name__ in message
    assert "hunter2" not in message

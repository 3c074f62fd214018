"""A source whose URL leads elsewhere: both are named, refused when both differ, accepted on demand."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from shared.clock import utc_now
from shared.domain.backup import BackupKind
from shared.domain.manifest import Manifest
from shared.domain.source import Source
from shared.errors import PreflightRefused
from shared.operations.backup import BackupPlace, BackupRequest, run_backup
from shared.operations.progress import no_progress
from shared.postgres.connection import DatabaseAddress
from shared.postgres.facts import read_system_identifier
from shared.postgres.tools import Toolset
from tests.support.postgres_servers import PASSWORD, PostgresServer, ServerOf, run_sql
from tests.support.real_backups import RECIPIENT, RealBackups, open_real_backups


@pytest.fixture
def backups(tmp_path: Path, toolsets: Sequence[Toolset]) -> Iterator[RealBackups]:
    made = open_real_backups(tmp_path, toolsets)
    yield made
    made.catalog.close()


def a_database(server: PostgresServer, name: str) -> DatabaseAddress:
    server.drop_database(server.address.with_database(name))
    address = server.new_database(name)
    run_sql(address, "CREATE TABLE t AS SELECT 1 AS n")
    return address


def back_up_moved(backups: RealBackups, address: DatabaseAddress) -> Manifest:
    place = BackupPlace(
        repository=backups.repository,
        catalog=backups.catalog,
        toolsets=backups.toolsets,
        recipients=(RECIPIENT,),
        scratch_folder=backups.folder / "dumps",
        upload_threads=1,
        tool_version="0.1.0",
    )
    request = BackupRequest(source=Source(name="app"), address=address, kind=BackupKind.MANUAL, may_have_moved=True)
    return run_backup(request, place, now=utc_now, on_progress=no_progress).manifest


def test_another_database_on_another_server_is_refused_until_a_person_accepts_it(
    backups: RealBackups, postgres_server_of: ServerOf
) -> None:
    first = backups.back_up(a_database(postgres_server_of(15), "moved_one"))
    elsewhere = a_database(postgres_server_of(17), "moved_two")

    with pytest.raises(PreflightRefused, match="another database on another server") as caught:
        backups.back_up(elsewhere)
    assert "moved_one" in caught.value.message
    assert first.server.system_identifier in caught.value.message
    assert "goldcopy backup app --moved" in caught.value.hint

    accepted = back_up_moved(backups, elsewhere)
    assert accepted.server.system_identifier not in {"", first.server.system_identifier}
    (warning,) = accepted.warnings
    assert first.backup_id in warning
    assert backups.back_up(elsewhere).warnings == ()


def test_a_new_server_with_the_same_name_is_said_and_not_refused(
    backups: RealBackups, postgres_server_of: ServerOf
) -> None:
    backups.back_up(a_database(postgres_server_of(15), "moved_same"))

    (warning,) = backups.back_up(a_database(postgres_server_of(17), "moved_same")).warnings

    assert warning.startswith("its url leads to another server: moved_same on system ")


def test_another_database_of_the_same_server_is_said_and_not_refused(
    backups: RealBackups, postgres_server: PostgresServer
) -> None:
    backups.back_up(a_database(postgres_server, "moved_one"))

    (warning,) = backups.back_up(a_database(postgres_server, "moved_two")).warnings

    assert warning.startswith("its url leads to another database: moved_two on system ")
    assert "is of moved_one on system " in warning


def test_a_role_that_may_not_read_the_identifier_still_backs_up(postgres_server: PostgresServer) -> None:
    address = a_database(postgres_server, "moved_weak")
    run_sql(address, f"CREATE ROLE moved_weak LOGIN PASSWORD '{PASSWORD}'")
    run_sql(address, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    weak = DatabaseAddress({**address.parameters, "user": "moved_weak"})
    with weak.connect(autocommit=False) as connection:
        assert read_system_identifier(connection) == ""
        assert connection.execute("SELECT 1").fetchone() == (1,)
    postgres_server.drop_database(address)
    run_sql(postgres_server.address, "DROP ROLE moved_weak")

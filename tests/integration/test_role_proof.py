"""Roles of real servers: what a backup's scripts make equals the source, and whatever is changed is found by name."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.domain.manifest import Manifest
from shared.domain.proof import Outcome, Severity
from shared.domain.role_facts import AppliedRoles, RoleProof
from shared.operations.fetch import fetch_backup
from shared.operations.progress import no_progress
from shared.operations.role_proof import ROLES_FILE, apply_roles, prove_roles, run_script
from shared.postgres.connection import DatabaseAddress
from shared.postgres.scratch import start_scratch
from shared.postgres.tools import Toolset, choose_server
from tests.support.postgres_servers import SERVERS_FOLDER, run_sql
from tests.support.real_backups import RealBackups, open_real_backups

ROLES = """
CREATE ROLE staff NOINHERIT; CREATE ROLE "odd ""role" SUPERUSER LOGIN PASSWORD 'geheim';
CREATE ROLE app LOGIN CREATEDB CREATEROLE REPLICATION BYPASSRLS CONNECTION LIMIT 7 VALID UNTIL '2031-02-03 04:05:06+07';
CREATE ROLE clerk NOINHERIT; CREATE ROLE ever VALID UNTIL 'infinity';
GRANT staff TO app WITH ADMIN OPTION; GRANT staff TO clerk; GRANT pg_monitor TO clerk;
ALTER ROLE app SET work_mem = '5MB'; ALTER ROLE app SET search_path = "$user", public;
ALTER ROLE clerk SET app.key = 'very secret';
ALTER ROLE app IN DATABASE postgres SET statement_timeout = '9s';
ALTER DATABASE postgres SET lock_timeout = '8s';
CREATE TABLE t AS SELECT generate_series(1, 9) AS n;
"""
OPTIONS_OF_16 = "GRANT app TO clerk WITH INHERIT FALSE, SET FALSE, ADMIN TRUE"


@dataclass
class RestoredRoles:
    """A scratch server that the roles of a backup were made on; every test changes one fact and puts it back."""

    address: DatabaseAddress
    manifest: Manifest
    folder: Path
    applied: AppliedRoles
    major: int

    def prove(self) -> RoleProof:
        return prove_roles(self.address, self.manifest, self.folder, self.applied)

    def messages(self) -> dict[str, str]:
        return {item.object: item.message for item in self.prove().findings}


@pytest.fixture(scope="module", params=[15, pytest.param(17, marks=pytest.mark.slow), 18])
def restored(
    request: pytest.FixtureRequest, toolsets: Sequence[Toolset], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RestoredRoles]:
    major = request.param
    toolset, _ = choose_server(toolsets, major, needs_icu=False, extensions=())
    backups = open_real_backups(tmp_path_factory.mktemp("roles"), toolsets)
    folder = tmp_path_factory.mktemp("dump")
    with ExitStack() as stack:
        stack.callback(backups.catalog.close)
        with start_scratch(toolset, SERVERS_FOLDER) as source:
            run_sql(source.address, ROLES)
            if major >= 16:
                run_sql(source.address, OPTIONS_OF_16)
            manifest = backups.back_up(source.address)
        fetch_backup(backups.repository, manifest, backups.identities, folder, on_progress=no_progress)
        target = stack.enter_context(start_scratch(toolset, SERVERS_FOLDER)).address
        applied, findings = apply_roles(target, folder, is_scratch=True)
        findings += run_script(target, folder / "settings.sql", "database-settings", applied)
        assert findings == []
        yield RestoredRoles(target, manifest, folder, applied, major)


def test_roles_as_restored_are_those_of_the_source(restored: RestoredRoles) -> None:
    proof = restored.prove()

    assert (proof.findings, proof.not_measured) == ([], [])
    assert b"geheim" not in (restored.folder / ROLES_FILE).read_bytes()


CHANGES = {
    "superuser": ("ALTER ROLE staff SUPERUSER", "ALTER ROLE staff NOSUPERUSER", "staff", "superuser is true"),
    "superuser lost": (
        'ALTER ROLE "odd ""role" NOSUPERUSER', 'ALTER ROLE "odd ""role" SUPERUSER', 'odd "role', "superuser is false",
    ),
    "inherit": ("ALTER ROLE staff INHERIT", "ALTER ROLE staff NOINHERIT", "staff", "inherit is true instead of false"),
    "createrole": ("ALTER ROLE app NOCREATEROLE", "ALTER ROLE app CREATEROLE", "app", "createrole is false"),
    "createdb": ("ALTER ROLE app NOCREATEDB", "ALTER ROLE app CREATEDB", "app", "createdb is false instead of true"),
    "replication": ("ALTER ROLE app NOREPLICATION", "ALTER ROLE app REPLICATION", "app", "replication is false"),
    "bypassrls": ("ALTER ROLE app NOBYPASSRLS", "ALTER ROLE app BYPASSRLS", "app", "bypassrls is false"),
    "limit": (
        "ALTER ROLE app CONNECTION LIMIT -1", "ALTER ROLE app CONNECTION LIMIT 7", "app",
        "connection limit is none instead of 7",
    ),
    "valid until": (
        "ALTER ROLE app VALID UNTIL 'infinity'", "ALTER ROLE app VALID UNTIL '2031-02-02 21:05:06+00'", "app",
        "valid until is always instead of 2031-02-02 21:05:06+00",
    ),
    "member lost": ("REVOKE staff FROM clerk", "GRANT staff TO clerk", "clerk", "membership in staff is absent"),
    "member of Postgres' own": ("REVOKE pg_monitor FROM clerk", "GRANT pg_monitor TO clerk", "clerk", "pg_monitor"),
    "member too many": ("GRANT ever TO clerk", "REVOKE ever FROM clerk", "clerk", "membership in ever is with ADMIN"),
    "admin option": (
        "REVOKE ADMIN OPTION FOR staff FROM app", "GRANT staff TO app WITH ADMIN OPTION", "app",
        "membership in staff is with ADMIN false",
    ),
    "setting": (
        "ALTER ROLE app RESET work_mem", "ALTER ROLE app SET work_mem = '5MB'", "app", "setting work_mem is missing",
    ),
    "setting's value": (
        "ALTER ROLE clerk SET app.key = 'x'", "ALTER ROLE clerk SET app.key = 'very secret'", "clerk",
        "setting app.key has another value",
    ),
    "setting in the database": (
        "ALTER ROLE app IN DATABASE postgres RESET ALL",
        "ALTER ROLE app IN DATABASE postgres SET statement_timeout = '9s'", "app",
        "setting statement_timeout in the database is missing",
    ),
    "setting of the database": (
        "ALTER DATABASE postgres SET lock_timeout = '1s'", "ALTER DATABASE postgres SET lock_timeout = '8s'",
        "the database, for all roles", "setting lock_timeout has another value",
    ),
    "role gone": ("DROP ROLE ever", "CREATE ROLE ever", "ever", "the role is in the backup but not on the restored"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_role_is_found_by_name_and_fact(restored: RestoredRoles, change: str) -> None:
    statement, undo, role, words = CHANGES[change]
    run_sql(restored.address, statement)
    found = restored.messages()
    run_sql(restored.address, undo)

    assert list(found) == [role]
    assert words in found[role]
    assert "secret" not in found[role]
    assert restored.messages() == {}


@pytest.mark.parametrize("option", ["INHERIT TRUE", "SET TRUE", "ADMIN FALSE"])
def test_options_of_a_membership_are_compared(restored: RestoredRoles, option: str) -> None:
    if restored.major < 16:
        pytest.skip("memberships have options since Postgres 16")
    run_sql(restored.address, f"GRANT app TO clerk WITH {option}")
    found = restored.messages()
    run_sql(restored.address, OPTIONS_OF_16)

    assert "membership in app is with ADMIN" in found["clerk"]
    assert restored.messages() == {}


def test_a_backup_without_recorded_roles_is_compared_by_names(restored: RestoredRoles, tmp_path: Path) -> None:
    proof = prove_roles(restored.address, restored.manifest, tmp_path, AppliedRoles())

    assert [(item.severity, "only their names" in item.message) for item in proof.findings] == [(Severity.INFO, True)]


@pytest.fixture
def backups(tmp_path: Path, toolsets: Sequence[Toolset]) -> Iterator[RealBackups]:
    made = open_real_backups(tmp_path, toolsets)
    yield made
    made.catalog.close()


def test_a_role_called_postgres_that_was_no_superuser_is_none_after_a_restore(
    backups: RealBackups, toolsets: Sequence[Toolset]
) -> None:
    """As at Supabase. Were it the scratch server's own superuser, row security would not hold it back there."""
    toolset, _ = choose_server(toolsets, 17, needs_icu=False, extensions=())
    with start_scratch(toolset, SERVERS_FOLDER, superuser="supabase_admin") as source:
        run_sql(
            source.address,
            "CREATE ROLE postgres CREATEDB CREATEROLE BYPASSRLS; CREATE TABLE t AS SELECT 1 AS n;"
            "ALTER TABLE t OWNER TO postgres; GRANT pg_monitor TO postgres WITH ADMIN OPTION",
        )
        manifest = backups.back_up(source.address)

    tested = backups.test(manifest)

    assert tested.result.findings == ()
    assert (tested.result.outcome, tested.result.not_measured) == (Outcome.PASSED, ())


def test_what_a_configured_scratch_server_has_of_its_own_is_not_measured(
    backups: RealBackups, toolsets: Sequence[Toolset]
) -> None:
    toolset, _ = choose_server(toolsets, 17, needs_icu=False, extensions=())
    with start_scratch(toolset, SERVERS_FOLDER) as source:
        run_sql(source.address, "CREATE ROLE app CREATEDB; CREATE ROLE fine; ALTER ROLE fine SET no_such.key = 'x'")
        manifest = backups.back_up(source.address)
    with start_scratch(toolset, SERVERS_FOLDER) as own:
        run_sql(own.address, "CREATE ROLE app SUPERUSER")
        tested = backups.test(manifest, scratch_address=own.address)
        with closing(own.address.connect()) as connection:
            left = connection.execute("SELECT rolname FROM pg_roles WHERE rolname IN ('app', 'fine')").fetchall()

    assert tested.result.outcome is Outcome.NOT_MEASURED
    (item,) = tested.result.not_measured
    assert (item.check, item.object) == ("role-differs", "app")
    assert "superuser is true instead of false" in item.reason
    assert left == [("app",)]

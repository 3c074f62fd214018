"""Grants by several grantors restore whole, although pg_restore runs them side by side in any order."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.backup import BackupKind
from shared.postgres import restore
from shared.postgres.connection import DatabaseAddress
from shared.postgres.restore import RestoreRun
from shared.postgres.restore_messages import judge_message
from tests.support.postgres_servers import PostgresServer, run_sql
from tests.support.site import MakeSite

GRANTS = """
create role race_owner; create role race_giver; create role race_taker;
create schema race authorization race_owner;
set role race_owner;
create table race.t (id int);
grant usage on schema race to race_giver;
grant select on race.t to race_giver with grant option;
set role race_giver;
grant select on race.t to race_taker;
reset role;
"""


@pytest.fixture
def granted(postgres_server: PostgresServer) -> Iterator[DatabaseAddress]:
    database = postgres_server.new_database()
    run_sql(database, GRANTS)
    yield database
    postgres_server.drop_database(database)
    run_sql(postgres_server.address, "drop role race_taker; drop role race_giver; drop role race_owner")


def test_a_grant_that_was_refused_in_the_wrong_order_is_given_again(
    make_site: MakeSite, granted: DatabaseAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race is rare, so its outcome is made here: the grant is taken away, and pg_restore said to have failed."""
    run_once = restore._run_once
    runs: list[restore.RestoreOptions] = []

    def losing(*given: Any) -> RestoreRun:
        run = run_once(*given)
        runs.append(given[3])
        if len(runs) == 1:
            run_sql(given[2], "revoke select on race.t from race_taker cascade")
            refused = judge_message("permission denied for schema race", "ACL race TABLE t race_owner")
            return replace(run, exit_code=1, messages=(*run.messages, refused))
        return run

    monkeypatch.setattr(restore, "_run_once", losing)
    site = make_site(app=granted)
    with site.open() as workspace:
        workspace.back_up("app", BackupKind.MANUAL)
        document = workspace.run_restore_test("app").document()
    assert document["outcome"] == "passed", document
    assert [options.in_order for options in runs] == [False, True]

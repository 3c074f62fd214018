"""A chosen table gets back the policies whose tables are there already; one that cannot come back is an error."""

from collections.abc import Iterator, Sequence

import pytest

from shared.domain.manifest import Manifest
from shared.domain.proof import Outcome, Severity
from shared.postgres.connection import DatabaseAddress
from shared.postgres.tools import Toolset
from tests.support.postgres_servers import PostgresServer, run_sql
from tests.support.real_backups import RealBackups, open_real_backups

DOCS = """
CREATE TABLE public.members (who text PRIMARY KEY);
CREATE VIEW public.active AS SELECT who FROM public.members;
CREATE FUNCTION public.me() RETURNS text LANGUAGE sql STABLE RETURN current_user::text;
CREATE TABLE public.docs (id int PRIMARY KEY, body text);
INSERT INTO public.docs SELECT g, 'text ' || g FROM generate_series(1, 100) g;
ALTER TABLE public.docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY everybody ON public.docs USING (true);
CREATE POLICY "only Members" ON public.docs AS RESTRICTIVE
    USING (EXISTS (SELECT FROM public.members m WHERE m.who = public.me()));
COMMENT ON POLICY "only Members" ON public.docs IS 'who may read';
CREATE POLICY only_active ON public.docs AS RESTRICTIVE USING (EXISTS (SELECT FROM public.active));
"""
POLICIES = """
SELECT polname, polpermissive, pg_get_expr(polqual, polrelid), obj_description(oid, 'pg_policy') FROM pg_policy
WHERE polrelid = 'public.docs'::regclass ORDER BY polname
"""


@pytest.fixture(scope="module")
def source(postgres_server: PostgresServer) -> Iterator[DatabaseAddress]:
    address = postgres_server.new_database("policies_source")
    run_sql(address, DOCS)
    yield address
    postgres_server.drop_database(address)


@pytest.fixture(scope="module")
def backups(tmp_path_factory: pytest.TempPathFactory, toolsets: Sequence[Toolset]) -> Iterator[RealBackups]:
    made = open_real_backups(tmp_path_factory.mktemp("policies"), toolsets)
    yield made
    made.catalog.close()


@pytest.fixture(scope="module")
def manifest(backups: RealBackups, source: DatabaseAddress) -> Manifest:
    return backups.back_up(source)


@pytest.fixture
def damaged(postgres_server: PostgresServer, source: DatabaseAddress) -> Iterator[DatabaseAddress]:
    """The source's content without the table that somebody dropped."""
    address = postgres_server.new_database(template=source.database)
    run_sql(address, "DROP TABLE public.docs")
    yield address
    postgres_server.drop_database(address)


@pytest.mark.parametrize("change", ["SELECT 1", "DROP FUNCTION public.me()"])
def test_policies_whose_tables_are_there_come_back(
    backups: RealBackups, manifest: Manifest, source: DatabaseAddress, damaged: DatabaseAddress, change: str
) -> None:
    run_sql(damaged, change)

    report = backups.restore(manifest, damaged, "public.docs")

    assert [item for item in report.findings if item.check == "left-out"] == []
    assert (report.outcome, run_sql(damaged, POLICIES)) == (Outcome.PASSED, run_sql(source, POLICIES))


def test_a_policy_whose_table_is_not_there_is_an_error_that_names_it(
    backups: RealBackups, manifest: Manifest, damaged: DatabaseAddress
) -> None:
    run_sql(damaged, "DROP TABLE public.members CASCADE; CREATE VIEW public.active AS SELECT 1")

    report = backups.restore(manifest, damaged, "public.docs")

    (error,) = [item for item in report.findings if item.severity is Severity.ERROR]
    assert (error.check, error.object) == ("left-out", 'policy public."docs only Members"')
    assert error.message == "not restored: needs public.members, which is not restored"
    assert 'CREATE POLICY "only Members" ON public.docs AS RESTRICTIVE' in error.hint
    assert report.outcome is Outcome.FAILED
    assert [row[0] for row in run_sql(damaged, POLICIES)] == ["everybody", "only_active"]


def test_a_policy_that_the_table_there_does_not_fit_undoes_the_restore_and_is_named(
    backups: RealBackups, manifest: Manifest, damaged: DatabaseAddress
) -> None:
    run_sql(damaged, "ALTER TABLE public.members RENAME who TO name")

    report = backups.restore(manifest, damaged, "public.docs")

    texts = " ".join(f"{item.object} {item.message}" for item in report.findings if item.severity is Severity.ERROR)
    assert (report.outcome, "only Members" in texts, "nothing was restored" in texts) == (Outcome.FAILED, True, True)
    assert run_sql(damaged, "SELECT to_regclass('public.docs')") == [(None,)]

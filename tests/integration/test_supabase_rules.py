"""A Supabase-like project: what its dump role may not read is left out by name, and the rest needs nothing."""

from shared.domain.source import DumpPolicy, Source, SourceKind
from shared.postgres.preflight import check_source
from shared.supabase.rules import unreadable_known
from tests.support.postgres_servers import CorpusDatabase, run_sql

_LIKE_HOSTED = """
CREATE SCHEMA vault; CREATE TABLE vault.secrets (id int, secret text);
CREATE TABLE storage.buckets_vectors (id int);
CREATE ROLE project_dump BYPASSRLS;
GRANT USAGE ON SCHEMA auth, storage, public, extensions, realtime, vault TO project_dump;
GRANT SELECT ON ALL TABLES IN SCHEMA public, auth, storage TO project_dump;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public, auth TO project_dump;
REVOKE ALL ON auth.schema_migrations, storage.migrations, storage.buckets_vectors FROM project_dump, PUBLIC;
"""


def test_unreadable_platform_tables_are_excluded_with_a_reason_and_nothing_else(
    corpus_database: CorpusDatabase,
) -> None:
    address = corpus_database("supabase_like")
    run_sql(address, _LIKE_HOSTED)
    source = Source(name="app", kind=SourceKind.SUPABASE, dump=DumpPolicy(role="project_dump"))
    found = check_source(address, source, client_major=18, unreadable_known=unreadable_known(source.kind))
    as_plain = check_source(address, source, client_major=18, unreadable_known=unreadable_known(SourceKind.POSTGRES))
    run_sql(address, "DROP OWNED BY project_dump; DROP ROLE project_dump")
    assert found.errors == ()
    assert set(found.excluded_tables) == {
        ("auth", "schema_migrations"),
        ("storage", "buckets_vectors"),
        ("storage", "migrations"),
        ("vault", "secrets"),
    }
    assert all(len(item.reason) > 10 for item in found.excluded)
    assert {finding.object for finding in as_plain.errors} >= {"vault.secrets", "storage.buckets_vectors"}


def test_superuser_of_a_project_leaves_nothing_out(corpus_database: CorpusDatabase) -> None:
    address = corpus_database("supabase_like")
    source = Source(name="app", kind=SourceKind.SUPABASE)
    found = check_source(address, source, client_major=18, unreadable_known=unreadable_known(source.kind))
    assert found.errors == ()
    assert found.excluded == ()

"""Every schema object of a restored copy equals its source, and every change of one is seen by class and name."""

from collections.abc import Iterator

import pytest

from shared.errors import SourceChanged
from shared.postgres.connection import DatabaseAddress
from shared.postgres.facts import Connection
from shared.postgres.schema import ChangeKind, Schema, compare_schema, digest_schema, read_schema
from shared.postgres.schema_changes import require_unchanged
from shared.postgres.settle import settle_differences
from shared.postgres.snapshot import open_snapshot
from tests.support.copies import NASTY_SCHEMA, ServerWith, copy_by_dump
from tests.support.postgres_servers import CorpusDatabase, PostgresServer, run_file, run_sql

_KEY = b"k" * 32
_NASTY_EXTENSIONS = ("pgcrypto", "file_fdw")
_MAJORS = (15, 17, 18)


def _nasty(server: PostgresServer) -> DatabaseAddress:
    source = server.new_database()
    run_file(server.toolset, source, NASTY_SCHEMA)
    return source


def _read(address: DatabaseAddress) -> Schema:
    with address.connect(read_only=True) as connection:
        return read_schema(connection)


@pytest.mark.parametrize("major", _MAJORS)
def test_restored_copy_of_everything_differs_only_in_how_it_is_printed(
    postgres_server_of: ServerWith, major: int
) -> None:
    server = postgres_server_of(major, _NASTY_EXTENSIONS)
    source = _nasty(server)
    copy = copy_by_dump(server, source)
    differences = compare_schema(_read(source), _read(copy))
    with copy.connect() as connection:
        before = read_schema(connection)
        real, settled = settle_differences(connection, differences)
        after = read_schema(connection)
    assert real == []
    assert after == before, "settling left something behind"
    assert {difference.object_class for difference in settled} == {
        "columns", "constraints", "functions", "indexes", "policies", "rules", "statistics", "triggers", "views",
    }  # fmt: skip
    assert all(difference.explanation for difference in settled)
    server.drop_database(source)
    server.drop_database(copy)


@pytest.mark.parametrize("major", _MAJORS)
@pytest.mark.parametrize("corpus", ["pagila", "chinook", "northwind", "supabase_like"])
def test_restored_copy_of_a_real_database_is_equal(
    corpus_database: CorpusDatabase, postgres_server_of: ServerWith, corpus: str, major: int
) -> None:
    source = corpus_database(corpus, major)
    extensions = ("pgcrypto", "uuid-ossp", "pg_stat_statements") if corpus == "supabase_like" else ()
    server = postgres_server_of(major, extensions)
    copy = copy_by_dump(server, source)
    expected, found = _read(source), _read(copy)
    server.drop_database(copy)
    assert compare_schema(expected, found) == []
    assert digest_schema(expected, _KEY) == digest_schema(found, _KEY)
    assert sum(len(objects) for objects in expected.values()) > 100


def test_schema_reads_without_any_privilege(database: DatabaseAddress) -> None:
    run_sql(database, "CREATE ROLE bare_reader; CREATE SCHEMA closed; CREATE TABLE closed.t (a int PRIMARY KEY)")
    with database.connect(read_only=True) as connection:
        as_superuser = read_schema(connection)
        connection.execute("SET ROLE bare_reader")
        assert read_schema(connection) == as_superuser
    run_sql(database, "DROP ROLE bare_reader")


def test_default_privileges_made_explicit_compare_equal(database: DatabaseAddress) -> None:
    run_sql(database, "CREATE TABLE t (a int); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    before = _read(database)
    run_sql(database, "GRANT ALL ON TABLE public.t TO CURRENT_USER; GRANT EXECUTE ON FUNCTION public.f() TO PUBLIC")
    assert compare_schema(before, _read(database)) == []


def test_what_the_dump_leaves_out_is_left_out_with_all_that_hangs_on_it(postgres_server: PostgresServer) -> None:
    source = postgres_server.new_database()
    run_sql(
        source,
        """CREATE SCHEMA "gone ""away"; CREATE TABLE "gone ""away".t (a serial PRIMARY KEY);
        COMMENT ON SCHEMA "gone ""away" IS 'x'; COMMENT ON TABLE "gone ""away".t IS 'x';
        CREATE TABLE kept (a int PRIMARY KEY);
        CREATE TABLE "left out" (a int PRIMARY KEY CHECK (a > 0), b int GENERATED ALWAYS AS IDENTITY, c serial);
        CREATE INDEX "its index" ON "left out" (b); COMMENT ON INDEX "its index" IS 'x';
        COMMENT ON COLUMN "left out".a IS 'x'; COMMENT ON CONSTRAINT "left out_a_check" ON "left out" IS 'x';
        ALTER TABLE "left out" ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON "left out";
        CREATE RULE r AS ON DELETE TO "left out" DO INSTEAD NOTHING; COMMENT ON RULE r ON "left out" IS 'x';
        CREATE PUBLICATION pub FOR TABLE "left out", kept;
        ALTER DEFAULT PRIVILEGES IN SCHEMA "gone ""away" GRANT SELECT ON TABLES TO PUBLIC""",
    )
    copy = copy_by_dump(postgres_server, source, '--exclude-table=public."left out"', '--exclude-schema="gone ""away"')
    with source.connect(read_only=True) as connection:
        schema = read_schema(connection, excluded_tables=[("public", "left out")], excluded_schemas=['gone "away'])
    restored = _read(copy)
    postgres_server.drop_database(source)
    postgres_server.drop_database(copy)
    assert compare_schema(schema, restored) == []
    assert "public.kept" in schema["tables"]


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("CREATE OR REPLACE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 2'", r"public.f\(\)"),
        ("CREATE OR REPLACE VIEW public.v AS SELECT 2 AS one", "public.v"),
        ("DROP FUNCTION public.f()", r"public.f\(\)"),
        ("ALTER TABLE public.t ALTER a SET DEFAULT 8", "public.t"),
        ("DROP INDEX public.i", "public.t"),
        ("ALTER POLICY p ON public.t USING (false)", "public.t"),
    ],
)
def test_change_after_the_snapshot_is_noticed(database: DatabaseAddress, statement: str, named: str) -> None:
    run_sql(
        database,
        "CREATE TABLE t (a int DEFAULT 7); CREATE INDEX i ON t (a); CREATE POLICY p ON t;"
        "CREATE VIEW v AS SELECT 1 AS one;"
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    )
    with open_snapshot(database) as snapshot, database.connect(read_only=True) as now:
        run_sql(database, "CREATE TABLE public.added (a int DEFAULT 1); SELECT lo_create(0); ANALYZE")
        require_unchanged(snapshot.connection, now)
        run_sql(database, statement)
        with pytest.raises(SourceChanged, match=named) as caught:
            require_unchanged(snapshot.connection, now)
    assert caught.value.retryable


def test_invalid_index_that_no_dump_holds_is_explained(postgres_server: PostgresServer) -> None:
    source = postgres_server.new_database()
    run_sql(source, "CREATE TABLE t (a int); CREATE INDEX half ON t (a)")
    run_sql(source, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'public.half'::regclass")
    copy = copy_by_dump(postgres_server, source)
    with copy.connect() as connection:
        differences = compare_schema(_read(source), read_schema(connection))
        real, settled = settle_differences(connection, differences)
    postgres_server.drop_database(source)
    postgres_server.drop_database(copy)
    assert real == []
    assert [(item.object_class, item.identity, item.kind) for item in settled] == [
        ("indexes", "public.half", ChangeKind.REMOVED)
    ]
    assert "invalid at the source" in settled[0].explanation


def test_what_a_column_of_a_child_takes_from_its_parent_in_a_dump_is_explained(
    postgres_server: PostgresServer,
) -> None:
    source = postgres_server.new_database()
    run_sql(source, 'CREATE TABLE base (b text, "C" text); CREATE TABLE child () INHERITS (base)')
    run_sql(source, 'ALTER TABLE base ALTER b SET COMPRESSION pglz; ALTER TABLE ONLY base ALTER "C" SET STORAGE PLAIN')
    copy = copy_by_dump(postgres_server, source)
    run_sql(copy, "ALTER TABLE base ALTER b SET COMPRESSION default")
    with copy.connect() as connection:
        differences = compare_schema(_read(source), read_schema(connection))
        real, settled = settle_differences(connection, differences)
    postgres_server.drop_database(source)
    postgres_server.drop_database(copy)
    assert [item.identity for item in real] == ["public.base.b"]
    assert [item.identity for item in settled] == ['public.child."C"', "public.child.b"]
    assert all("inherits" in item.explanation for item in settled)


def test_secrets_of_foreign_data_are_not_in_the_schema(postgres_server_of: ServerWith) -> None:
    server = postgres_server_of(17, _NASTY_EXTENSIONS)
    source = _nasty(server)
    text = repr(_read(source))
    server.drop_database(source)
    assert "geheim" not in text
    assert "odd server" in text


# -- changes of a copy ------------------------------------------------------------------------------------------------

_CHANGES = [
    ("DROP POLICY everyone ON e.parent2", "policies", "everyone on e.parent2"),
    ("ALTER POLICY everyone ON e.parent2 USING (false)", "policies", "everyone on e.parent2"),
    ("ALTER POLICY vary ON e.types USING (v IN ('one', 'other'))", "policies", "vary on e.types"),
    ('ALTER POLICY "odd policy" ON e.parent2 TO "nasty reader"', "policies", '"odd policy" on e.parent2'),
    ("ALTER TABLE e.parent2 NO FORCE ROW LEVEL SECURITY", "tables", "e.parent2"),
    ("ALTER TABLE e.parent2 DISABLE ROW LEVEL SECURITY", "tables", "e.parent2"),
    ("ALTER TABLE e.parent OWNER TO nasty_owner", "tables", "e.parent"),
    ('REVOKE SELECT ON e.types FROM "nasty reader"', "tables", "e.types"),
    ('REVOKE GRANT OPTION FOR INSERT ON e.types FROM "nasty reader"', "tables", "e.types"),
    ("GRANT DELETE ON e.none TO PUBLIC", "tables", 'e."none"'),
    ('REVOKE UPDATE (v) ON e.types FROM "nasty""quote"', "columns", "e.types.v"),
    ("ALTER TABLE e.quick SET LOGGED", "tables", "e.quick"),
    ("ALTER TABLE e.types SET (fillfactor = 71)", "tables", "e.types"),
    ("ALTER TABLE e.parent REPLICA IDENTITY FULL", "tables", "e.parent"),
    ("ALTER TABLE e.child2 NO INHERIT e.parent2", "tables", "e.child2"),
    ("ALTER TABLE e.log DETACH PARTITION e.log_2", "tables", "e.log_2"),
    ("ALTER TABLE e.many_dropped DROP b, ADD b int", "tables", "e.many_dropped"),
    ("DROP TABLE e.none CASCADE", "tables", 'e."none"'),
    ("ALTER TABLE e.quick ALTER id TYPE bigint", "columns", "e.quick.id"),
    ("ALTER TABLE e.parent ALTER name DROP DEFAULT", "columns", "e.parent.name"),
    ("ALTER TABLE e.types ALTER flag SET DEFAULT ('x'::varchar IN ('a', 'c'))", "columns", "e.types.flag"),
    ("ALTER TABLE e.types ALTER at SET DEFAULT '2020-01-02 03:04:05+01'", "columns", "e.types.at"),
    ("ALTER TABLE e.types ALTER by_default SET GENERATED ALWAYS", "columns", "e.types.by_default"),
    ("ALTER TABLE e.types ALTER doubled DROP EXPRESSION", "columns", "e.types.doubled"),
    ("ALTER TABLE e.types ALTER j SET STORAGE MAIN", "columns", "e.types.j"),
    ("ALTER TABLE e.types ALTER arr SET STATISTICS 501", "columns", "e.types.arr"),
    ("ALTER TABLE e.parent ALTER name DROP NOT NULL", "columns", "e.parent.name"),
    ('ALTER TABLE e.types DROP CONSTRAINT "odd ""check"""', "constraints", '"odd ""check""" on e.types'),
    ("ALTER TABLE e.child2 VALIDATE CONSTRAINT notvalid", "constraints", "notvalid on e.child2"),
    ("ALTER TABLE e.log_ref DROP CONSTRAINT log_ref_id_at_fkey", "constraints", "log_ref_id_at_fkey on e.log_ref"),
    ("ALTER TABLE e.log_ref DISABLE TRIGGER ALL", "constraints", "log_ref_id_at_fkey on e.log_ref"),
    ('ALTER DOMAIN e.smaller DROP CONSTRAINT "odd name"', "constraints", '"odd name" on domain e.smaller'),
    ("DROP INDEX e.types_brin", "indexes", "e.types_brin"),
    (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'e.types_brin'::regclass",
        "indexes",
        "e.types_brin",
    ),
    ("ALTER TABLE e.types SET WITHOUT CLUSTER", "indexes", "e.types_ident"),
    ("ALTER SEQUENCE e.odd_seq NO CYCLE", "sequences", "e.odd_seq"),
    ("ALTER SEQUENCE e.odd_seq OWNED BY NONE", "sequences", "e.odd_seq"),
    ("CREATE OR REPLACE VIEW e.view_in AS SELECT id, v FROM e.types WHERE v = 'one'", "views", "e.view_in"),
    ("ALTER VIEW e.view_check RESET (security_barrier)", "views", "e.view_check"),
    ("REFRESH MATERIALIZED VIEW e.mat WITH NO DATA", "materialized_views", "e.mat"),
    ("REFRESH MATERIALIZED VIEW e.mat_empty", "materialized_views", "e.mat_empty"),
    ('DROP RULE "odd rule" ON e.view_in', "rules", '"odd rule" on e.view_in'),
    ("ALTER TABLE e.none ENABLE RULE noop", "rules", 'noop on e."none"'),
    ('ALTER TABLE e.types DISABLE TRIGGER "odd trigger"', "triggers", '"odd trigger" on e.types'),
    ("ALTER TABLE e.by_expr_1 ENABLE TRIGGER cloned", "triggers", "cloned on e.by_expr_1"),
    ("DROP TRIGGER stmt ON e.log", "triggers", "stmt on e.log"),
    ('ALTER EVENT TRIGGER "odd event" DISABLE', "event_triggers", '"odd event"'),
    ("ALTER FUNCTION e.over(int) VOLATILE", "functions", "e.over(integer)"),
    (
        "CREATE OR REPLACE FUNCTION e.over(text) RETURNS text LANGUAGE sql LEAKPROOF AS 'SELECT $1 '",
        "functions",
        "e.over(text)",
    ),
    ("ALTER FUNCTION e.over(text) OWNER TO nasty_owner", "functions", "e.over(text)"),
    ("GRANT EXECUTE ON FUNCTION e.over(int) TO PUBLIC", "functions", "e.over(integer)"),
    ("ALTER TYPE e.mood RENAME VALUE 'ö' TO 'oe'", "types", "e.mood"),
    ("ALTER DOMAIN e.small SET DEFAULT 4", "types", "e.small"),
    ("GRANT USAGE ON TYPE e.mood TO PUBLIC", "types", "e.mood"),
    ('ALTER TYPE e.lone ALTER ATTRIBUTE "at tribute" TYPE bigint', "columns", 'e.lone."at tribute"'),
    ("ALTER TEXT SEARCH CONFIGURATION e.conf DROP MAPPING FOR word", "text_search", "configuration e.conf"),
    ("ALTER TEXT SEARCH DICTIONARY e.dict (accept = true)", "text_search", "dictionary e.dict"),
    ("DROP CAST (e.pair AS text)", "casts", "e.pair as text"),
    ("ALTER OPERATOR e.<% (e.pair, e.pair) SET (RESTRICT = NONE)", "operators", "e.<%(e.pair,e.pair)"),
    ('DROP STATISTICS e."odd stats"', "statistics", 'e."odd stats"'),
    ('ALTER PUBLICATION "odd pub" DROP TABLE e.parent', "publications", '"odd pub" table e.parent'),
    ("ALTER PUBLICATION \"odd pub\" SET (publish = 'insert')", "publications", '"odd pub"'),
    (
        'ALTER PUBLICATION "odd pub" SET TABLE e.under_view (a) WHERE (a > 6)',
        "publications",
        '"odd pub" table e.under_view',
    ),
    (
        'ALTER DEFAULT PRIVILEGES FOR ROLE nasty_owner IN SCHEMA e REVOKE SELECT ON TABLES FROM "nasty reader"',
        "default_privileges",
        "of nasty_owner in e for tables",
    ),
    ("ALTER EXTENSION pgcrypto SET SCHEMA public", "extensions", "pgcrypto"),
    ('REVOKE USAGE ON SCHEMA e FROM "nasty reader"', "schemas", "e"),
    ("ALTER SCHEMA e OWNER TO nasty_owner", "schemas", "e"),
    ("COMMENT ON TABLE e.types IS 'another'", "comments", "table e.types"),
    ("COMMENT ON COLUMN e.types.v IS NULL", "comments", "table column e.types.v"),
    ("COMMENT ON LARGE OBJECT 700002 IS NULL", "comments", "large object 700002"),
    ("ALTER LARGE OBJECT 700001 OWNER TO CURRENT_USER", "large_objects", "700001"),
    ('REVOKE SELECT ON LARGE OBJECT 700001 FROM "nasty reader"', "large_objects", "700001"),
    ("SELECT lo_unlink(700002)", "large_objects", "700002"),
    ("ALTER SERVER \"odd server\" OPTIONS (SET port '5433')", "foreign_data", 'server "odd server"'),
    ('DROP USER MAPPING FOR PUBLIC SERVER "odd server"', "foreign_data",
     'user mapping for PUBLIC server "odd server"'),
    ("ALTER FOREIGN TABLE e.far OPTIONS (SET table_name 'u')", "tables", "e.far"),
    (
        'REVOKE EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) FROM "nasty reader"',
        "granted_system_objects",
        "function pg_catalog.pg_read_file(pg_catalog.text)",
    ),
    (
        "GRANT EXECUTE ON FUNCTION e.digest(text, text) TO PUBLIC",
        "granted_system_objects",
        "function e.digest(pg_catalog.text,pg_catalog.text)",
    ),
    ("CREATE TABLE e.extra ()", "tables", "e.extra"),
]  # fmt: skip


@pytest.fixture(scope="module")
def nasty_pair(postgres_server_of: ServerWith) -> Iterator[tuple[Schema, Connection]]:
    """The source's schema and a connection to its restored copy, whose event trigger is out of the way."""
    server = postgres_server_of(17, _NASTY_EXTENSIONS)
    source = _nasty(server)
    copy = copy_by_dump(server, source)
    with copy.connect() as connection:
        yield _read(source), connection
    server.drop_database(source)
    server.drop_database(copy)


@pytest.mark.parametrize(("statement", "object_class", "identity"), _CHANGES, ids=[change[0] for change in _CHANGES])
def test_every_change_of_the_copy_is_found_by_name(
    nasty_pair: tuple[Schema, Connection], statement: str, object_class: str, identity: str
) -> None:
    source, connection = nasty_pair
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL search_path = ''")
        connection.execute("SET LOCAL event_triggers = off")
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(statement.encode())
        changed = read_schema(connection)
        real, _settled = settle_differences(connection, compare_schema(source, changed))
    assert (object_class, identity) in {(item.object_class, item.identity) for item in real}
    assert digest_schema(source, _KEY)[object_class] != digest_schema(changed, _KEY)[object_class]


def test_unchanged_copy_of_the_pair_has_no_real_difference(nasty_pair: tuple[Schema, Connection]) -> None:
    source, connection = nasty_pair
    real, _settled = settle_differences(connection, compare_schema(source, read_schema(connection)))
    assert real == []

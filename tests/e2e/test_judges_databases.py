"""Databases that are hard to copy: proven and restored, or it is said why the source itself cannot be."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.domain.manifest import Manifest, ServerFacts
from shared.domain.proof import Outcome
from shared.operations.restore_testing import RestoreTestReport
from shared.postgres.connection import DatabaseAddress
from shared.postgres.facts import Connection
from shared.postgres.schema import SchemaDifference, compare_schema, read_schema
from shared.postgres.scratch import create_database
from shared.postgres.settle import settle_differences
from shared.postgres.tools import Toolset
from tests.support.nasty_database import build_nasty_database
from tests.support.postgres_servers import PostgresServer, ServerOf, run_file, run_sql
from tests.support.real_backups import RealBackups, open_real_backups

HARD_DATABASE = Path(__file__).parents[1] / "support" / "hard_database.sql"
MAJORS = (15, 17, 18)

ONLY_18 = """
CREATE TABLE computed (a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL,
    c text GENERATED ALWAYS AS (upper('x' || a::text)) VIRTUAL,
    d int NOT NULL DEFAULT 3);
INSERT INTO computed (a) SELECT g FROM generate_series(1, 100) g;
CREATE TABLE by_a (a int, b int GENERATED ALWAYS AS (a + 1) VIRTUAL, c int GENERATED ALWAYS AS (a + 2) STORED)
    PARTITION BY RANGE (a);
CREATE TABLE by_a_1 PARTITION OF by_a (b GENERATED ALWAYS AS (a + 10) VIRTUAL) FOR VALUES FROM (0) TO (100);
INSERT INTO by_a (a) VALUES (1), (5);
CREATE TABLE computed_heir () INHERITS (computed);
INSERT INTO computed_heir (a) VALUES (7);
CREATE EXTENSION btree_gist;
CREATE TABLE periods (id int, during daterange, PRIMARY KEY (id, during WITHOUT OVERLAPS));
CREATE TABLE in_periods (during daterange, id int,
    FOREIGN KEY (id, PERIOD during) REFERENCES periods (id, PERIOD during));
INSERT INTO periods VALUES (1, '[2026-01-01,2026-02-01)');
INSERT INTO in_periods VALUES ('[2026-01-05,2026-01-09)', 1);
CREATE TABLE unenforced (a int CHECK (a > 0) NOT ENFORCED, b int CONSTRAINT named NOT NULL NO INHERIT);
INSERT INTO unenforced VALUES (-1, 1);
CREATE TABLE mother (a int CONSTRAINT mother_a NOT NULL);
CREATE TABLE father (a int CONSTRAINT father_a NOT NULL);
CREATE TABLE child () INHERITS (father, mother);
CREATE TABLE late_child () INHERITS (mother);
ALTER TABLE late_child INHERIT father;
"""
SETTINGS = """
CREATE TABLE plain (a text, x xml, f float8, d date, i interval, b bytea, m money, ts timestamptz);
INSERT INTO plain VALUES ('a\\b', '<a/>', 0.1::float8 + 0.2, '2026-02-03', '1 year 2 mons -3 days', '\\xdeadbeef', 12.5,
    '2026-03-29 02:30:00+00');
CREATE TABLE large AS SELECT g AS a, md5(g::text) AS b, g::float8 / 7 AS f, 'é' AS e, decode(md5(g::text), 'hex') AS y
    FROM generate_series(1, 60000) g;
"""
HOSTILE_SETTINGS = (
    "DateStyle = 'SQL, DMY'", "IntervalStyle = sql_standard", "TimeZone = 'America/New_York'", "bytea_output = escape",
    "extra_float_digits = -5", "xmloption = document", "client_encoding = LATIN1", "standard_conforming_strings = off",
    "default_transaction_read_only = on", "statement_timeout = '20ms'", "lock_timeout = '1ms'", "array_nulls = off",
    "idle_in_transaction_session_timeout = '100ms'", "default_transaction_isolation = serializable",
    "row_security = on", "search_path = nowhere", "transaction_timeout = '50ms'",
    "quote_all_identifiers = on", "lc_messages = 'C'",
)  # fmt: skip
SQL_ASCII = """
CREATE TABLE texts (a text);
INSERT INTO texts VALUES (E'\\xff\\xfe'), (E'caf\\xe9'), (E'caf\\xc3\\xa9'), ('x');
CREATE TABLE "café" ("é" serial, t text);
INSERT INTO "café" (t) SELECT E'\\xe9' || g FROM generate_series(1, 60000) g;
COMMENT ON TABLE texts IS E'not UTF-8: \\xe9';
DO $$ BEGIN
    EXECUTE E'CREATE TABLE "caf\\xe9" ("\\xe9" serial PRIMARY KEY, t text)';
    EXECUTE E'INSERT INTO "caf\\xe9" (t) SELECT ''\\xe9'' || g FROM generate_series(1, 60000) g';
    EXECUTE E'CREATE VIEW "v\\xe9" AS SELECT * FROM "caf\\xe9"';
END $$;
"""
LATIN1 = """
CREATE SCHEMA "schéma";
CREATE TABLE "schéma"."tâble" ("cölumn" text PRIMARY KEY, b serial);
INSERT INTO "schéma"."tâble" VALUES ('café', 1), ('naïve', 2);
COMMENT ON TABLE "schéma"."tâble" IS 'é';
CREATE TYPE "énum" AS ENUM ('é', 'à');
CREATE TABLE "parts é" ("é" "énum") PARTITION BY HASH ("é");
CREATE TABLE "part é 0" PARTITION OF "parts é" FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE "part é 1" PARTITION OF "parts é" FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO "parts é" SELECT (ARRAY['é', 'à'])[g % 2 + 1]::"énum" FROM generate_series(1, 50) g;
CREATE MATERIALIZED VIEW "mé" AS SELECT * FROM "parts é";
CREATE TABLE "large é" ("é" text);
INSERT INTO "large é" SELECT 'é' || g || repeat('à', g % 30) FROM generate_series(1, 60000) g;
"""


@dataclass(slots=True)
class Judge:
    """Backs databases up and looks at what comes back."""

    backups: RealBackups

    def proves(self, server: PostgresServer, source: DatabaseAddress) -> Manifest:
        """A backup is taken, proven, and restored into an empty database that is equal."""
        manifest = self.backups.back_up(source)
        report = self.backups.test(manifest)
        assert [item for item in report.result.findings if item.severity != "info"] == []
        assert report.result.outcome is Outcome.PASSED, report.result.not_measured
        assert report.result.tables_proven == len(manifest.tables)
        empty = _empty_copy(server, manifest.server)
        restored = self.backups.restore(manifest, empty, source=source).document()
        assert restored["outcome"] == "passed", restored["findings"]
        assert _schema_differences(source, empty) == []
        assert _contents(empty, manifest) == _contents(source, manifest)
        return manifest

    def refuses(self, source: DatabaseAddress) -> RestoreTestReport:
        """A backup is taken, and its restore test says what does not come back."""
        report = self.backups.test(self.backups.back_up(source))
        assert report.result.outcome is Outcome.FAILED
        return report


def _empty_copy(server: PostgresServer, facts: ServerFacts) -> DatabaseAddress:
    name = server.new_database().database
    server.drop_database(server.address.with_database(name))
    return create_database(server.address, name, server=facts)[0]


def _schema_differences(source: DatabaseAddress, copy: DatabaseAddress) -> list[SchemaDifference]:
    with source.connect() as one, copy.connect() as other:
        return settle_differences(other, compare_schema(read_schema(one), read_schema(other)))[0]


def _contents(address: DatabaseAddress, manifest: Manifest) -> dict[str, object]:
    """Count and sum up every table by the server itself, in a way of its own; large objects by their bytes."""
    found: dict[str, object] = {}
    with address.connect() as connection:
        for table in manifest.tables:
            name = ".".join('"' + part.replace('"', '""') + '"' for part in (table.schema, table.name))
            # Which partition a row of a hash partitioned enum goes to depends on OIDs.
            root = _partition_root(connection, name) if table.partition_root else name
            columns = ", ".join('"' + column.replace('"', '""') + '"' for column in table.columns)
            query = f"SELECT count(*), sum(hashtextextended(ROW({columns})::text, 0)::numeric) FROM {root}"
            found[root] = connection.execute(query.encode("utf-8", "surrogateescape")).fetchone()
        large = "SELECT oid, md5(lo_get(oid)) FROM pg_largeobject_metadata ORDER BY oid"
        found["large objects"] = connection.execute(large).fetchall()
    return found


def _partition_root(connection: Connection, name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("'", "''")
    row = connection.execute(f"SELECT pg_partition_root(E'{escaped}')::regclass::text".encode()).fetchone()
    assert row
    return str(row[0])


@pytest.fixture
def judge(tmp_path: Path, toolsets: Sequence[Toolset]) -> Iterator[Judge]:
    made = open_real_backups(tmp_path, toolsets)
    yield Judge(made)
    made.catalog.close()


@pytest.mark.parametrize("major", MAJORS)
def test_everything_that_a_dump_can_hold_is_proven(judge: Judge, postgres_server_of: ServerOf, major: int) -> None:
    server = postgres_server_of(major)
    source = server.new_database()
    run_file(server.toolset, source, HARD_DATABASE)
    if major >= 18:
        run_sql(source, ONLY_18)
    judge.proves(server, source)


@pytest.mark.parametrize("major", MAJORS)
def test_nasty_rows_orders_and_names_are_proven(judge: Judge, postgres_server_of: ServerOf, major: int) -> None:
    server = postgres_server_of(major)
    source = server.new_database()
    build_nasty_database(source)
    manifest = judge.backups.back_up(source)
    report = judge.backups.test(manifest)
    assert report.result.outcome is Outcome.PASSED, report.result.findings


@pytest.mark.parametrize("major", MAJORS)
def test_no_setting_of_a_database_changes_what_is_dumped_or_read_back(
    judge: Judge, postgres_server_of: ServerOf, major: int
) -> None:
    server = postgres_server_of(major)
    source = server.new_database()
    run_sql(source, SETTINGS)
    for setting in HOSTILE_SETTINGS:
        if major >= 17 or "transaction_timeout" not in setting or setting.startswith("idle"):
            run_sql(server.address, f"ALTER DATABASE {source.database} SET {setting}")
    judge.proves(server, source)


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize(("encoding", "script"), [("SQL_ASCII", SQL_ASCII), ("LATIN1", LATIN1)])
def test_other_encodings_are_proven(
    judge: Judge, postgres_server_of: ServerOf, major: int, encoding: str, script: str
) -> None:
    server = postgres_server_of(major)
    facts = ServerFacts(server_version="", server_version_num=0, database="", encoding=encoding, collate="C", ctype="C")
    source = _empty_copy(server, facts)
    with source.connect() as connection:
        for statement in script.replace("$$", "\0").split(";\n") if encoding == "LATIN1" else [script]:
            connection.execute(b"SET search_path = public")
            connection.execute(statement.replace("\0", "$$").encode())
    judge.proves(server, source)


CHECK_READS_ANOTHER_TABLE = """
CREATE TABLE zz_rates (id int);
INSERT INTO zz_rates SELECT generate_series(1, 1000);
CREATE FUNCTION is_rate(int) RETURNS bool LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM public.zz_rates WHERE id = $1)';
CREATE FUNCTION is_good_rate(int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN public.is_rate($1); END';
CREATE TABLE prices (id int, rate int {});
INSERT INTO prices VALUES (1, 1), (2, 1);
"""
UNQUALIFIED = """
CREATE TABLE other (id int);
INSERT INTO other VALUES (1);
CREATE FUNCTION slug(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';
CREATE FUNCTION slug_of(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT slug($1)';
CREATE TABLE posts (title text, slug text GENERATED ALWAYS AS (slug_of(title)) STORED);
INSERT INTO posts VALUES ('Hello');
"""
CHECK_CHANGED_LATER = """
CREATE FUNCTION ok(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';
CREATE TABLE numbers (a int CHECK (ok(a)));
INSERT INTO numbers VALUES (1), (2);
CREATE OR REPLACE FUNCTION ok(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 1';
"""
ORPHANS = """
CREATE TABLE mothers (id int PRIMARY KEY);
CREATE TABLE children (mother int REFERENCES mothers);
SET session_replication_role = replica;
INSERT INTO children VALUES (77);
"""
NULL_IN_NOT_NULL = """
CREATE TABLE broken (a int, b int);
INSERT INTO broken VALUES (NULL, 1);
UPDATE pg_attribute SET attnotnull = true WHERE attrelid = 'broken'::regclass AND attname = 'a';
"""
FORBIDDEN_DDL = """
CREATE TABLE things (a int);
CREATE MATERIALIZED VIEW all_things AS SELECT * FROM things;
CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no ddl'; END $$;
CREATE EVENT TRIGGER forbid ON ddl_command_start EXECUTE FUNCTION forbid();
"""
UNRESTORABLE = {
    "a CHECK reads a table that is loaded later": (
        CHECK_READS_ANOTHER_TABLE.format("CHECK (is_rate(rate))"), "TABLE DATA prices", "reads another table",
    ),
    "a CHECK reads another table through a second function": (
        CHECK_READS_ANOTHER_TABLE.format("CHECK (is_good_rate(rate))"), "TABLE DATA prices", "reads another table",
    ),
    "a generated column names a function without its schema": (UNQUALIFIED, "TABLE posts postgres", "search_path"),
    "a CHECK was changed after rows were written": (CHECK_CHANGED_LATER, "TABLE DATA numbers", "changed later"),
    "orphans under a foreign key that claims to be valid": (
        ORPHANS, "FK CONSTRAINT children children_mother_fkey postgres", "source",
    ),
    "NULL in a column that claims to have none": (NULL_IN_NOT_NULL, "TABLE DATA broken", "source"),
    "an event trigger forbids the refresh of a materialized view": (
        FORBIDDEN_DDL, "MATERIALIZED VIEW DATA all_things postgres", "source",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNRESTORABLE)
def test_a_source_that_cannot_be_restored_fails_and_says_why(
    judge: Judge, postgres_server: PostgresServer, case: str
) -> None:
    script, about, explained = UNRESTORABLE[case]
    source = postgres_server.new_database()
    run_sql(source, script)
    report = judge.refuses(source)
    hints = [item.hint for item in report.result.findings if (item.check, item.object) == ("restore-message", about)]
    assert any(explained in hint for hint in hints), report.result.findings
    if "DATA" in about and "VIEW" not in about:
        assert any(item.check == "table-rows" for item in report.result.findings)


def test_a_check_that_reads_a_table_that_is_loaded_before_is_no_finding(
    judge: Judge, postgres_server: PostgresServer
) -> None:
    source = postgres_server.new_database()
    run_sql(source, CHECK_READS_ANOTHER_TABLE.format("CHECK (is_good_rate(rate))").replace("zz_rates", "a_rates"))
    judge.proves(postgres_server, source)


# -- many things ------------------------------------------------------------------------------------------------------

MANY_TABLES = """
DO $$ BEGIN FOR i IN 1..500 LOOP
    EXECUTE format('CREATE TABLE t{batch}_%s (id serial PRIMARY KEY, a text, b int REFERENCES root)', i);
    EXECUTE format('INSERT INTO t{batch}_%s (a) SELECT ''v'' || g FROM generate_series(1, %s) g', i, i % 20);
END LOOP; END $$;
"""
MANY_LARGE_OBJECTS = """
SELECT count(lo_from_bytea(g, convert_to(repeat('lo' || g, g % 40), 'UTF8')))
FROM generate_series(20000, 20000 + {count} - 1) g
"""


@pytest.mark.slow
def test_five_thousand_tables_do_not_become_five_thousand_objects(
    judge: Judge, postgres_server: PostgresServer
) -> None:
    source = postgres_server.new_database()
    run_sql(source, "CREATE TABLE root (id int PRIMARY KEY)")
    for batch in range(10):  # one transaction has not enough locks for all
        run_sql(source, MANY_TABLES.format(batch=batch))
    manifest = judge.proves(postgres_server, source)
    assert len(manifest.tables) == 5001
    assert len(manifest.objects) < 20


@pytest.mark.slow
def test_a_hundred_thousand_large_objects_are_proven(judge: Judge, postgres_server: PostgresServer) -> None:
    source = postgres_server.new_database()
    run_sql(source, MANY_LARGE_OBJECTS.format(count=100_000))
    run_sql(source, "CREATE TABLE one (id int); INSERT INTO one VALUES (1)")
    manifest = judge.proves(postgres_server, source)
    assert manifest.large_object_count == 100_000
    assert len(manifest.objects) < 100

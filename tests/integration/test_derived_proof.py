"""Stored generated columns and materialized views are compared with the source's, or it is said that they were not."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from shared.domain.manifest import DerivedKind, DerivedRecord, Manifest
from shared.domain.proof import Finding, Outcome, Severity
from shared.errors import ProgramStalled, SourceChanged
from shared.operations import derived_facts
from shared.operations.fetch import fetch_backup
from shared.operations.progress import no_progress
from shared.operations.proving import Proof, Restored, prove_restored
from shared.postgres import column_reading, derived
from shared.postgres.archive import read_toc
from shared.postgres.column_reading import ColumnReader
from shared.postgres.connection import DatabaseAddress
from shared.postgres.derived_text import digest_text
from shared.postgres.facts import Connection, TableFacts
from shared.postgres.read_guard import ReadGuard
from shared.postgres.restore import RestoreOptions, run_pg_restore
from shared.postgres.tools import Toolset
from tests.support.postgres_servers import PostgresServer, ServerOf, run_sql
from tests.support.real_backups import RealBackups, open_real_backups

ROWS = 30_000
SCRIPT = f"""
CREATE FUNCTION tax(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE TABLE prices (id int PRIMARY KEY, net int, gross int GENERATED ALWAYS AS (public.tax(net)) STORED, note text,
    "Odd one" text GENERATED ALWAYS AS (upper(note)) STORED);
INSERT INTO prices (id, net, note) SELECT g, g, repeat('n', g % 7) FROM generate_series(1, 500) g;
CREATE INDEX ON prices (gross);
CREATE TABLE large (id int, padding text, twice int GENERATED ALWAYS AS (public.tax(id)) STORED);
INSERT INTO large SELECT g, repeat('p', 40) FROM generate_series(1, {ROWS}) g;
CREATE UNIQUE INDEX large_twice ON large (twice);
CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad', 'bored', 'calm');
CREATE TABLE moods (m mood, n int, shout text GENERATED ALWAYS AS ('n' || n) STORED) PARTITION BY HASH (m);
CREATE TABLE moods_0 PARTITION OF moods FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE moods_1 (shout text GENERATED ALWAYS AS ('n' || n) STORED, n int, m mood);
ALTER TABLE moods ATTACH PARTITION moods_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO moods SELECT (enum_range(NULL::mood))[g % 5 + 1], g FROM generate_series(1, 100) g;
CREATE TABLE none_yet (a int, b int GENERATED ALWAYS AS (a + 1) STORED);
CREATE TABLE plain (a int);
CREATE MATERIALIZED VIEW totals AS SELECT gross % 10 AS digit, count(*) AS n FROM prices WHERE id <= 495 GROUP BY 1;
CREATE MATERIALIZED VIEW everything AS SELECT * FROM large;
CREATE MATERIALIZED VIEW stale AS SELECT id FROM prices WHERE id > 490;
CREATE MATERIALIZED VIEW unfilled AS SELECT 1 AS one WITH NO DATA;
DELETE FROM prices WHERE id > 495;
VACUUM ANALYZE large;
"""


@dataclass
class Copy:
    """A backup, restored once."""

    server: PostgresServer
    manifest: Manifest
    address: DatabaseAddress
    folder: Path
    key: bytes

    def prove(self, address: DatabaseAddress | None = None, **changes: object) -> Proof:
        restored = Restored(
            toolset=self.server.toolset,
            address=address or self.address,
            manifest=replace(self.manifest, **changes),  # type: ignore[arg-type]
            dump_folder=self.folder,
            key=self.key,
            toc=read_toc(self.folder / "toc.dat"),
        )
        proof = Proof()
        prove_restored(restored, proof, on_progress=no_progress)
        return proof


@pytest.fixture(scope="module")
def copy(
    postgres_server: PostgresServer, toolsets: Sequence[Toolset], tmp_path_factory: pytest.TempPathFactory
) -> Copy:
    source = postgres_server.new_database()
    for statement in SCRIPT.split(";\n"):  # VACUUM wants no transaction around it
        run_sql(source, statement)
    backups = open_real_backups(tmp_path_factory.mktemp("derived"), toolsets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(derived, "SUMMED_BYTES", 1 << 20)  # so that `large` and its view are large
        manifest = backups.back_up(source)
    backups.catalog.close()
    folder = tmp_path_factory.mktemp("derived-dump")
    assert not fetch_backup(backups.repository, manifest, backups.identities, folder, on_progress=no_progress).findings
    address = postgres_server.new_database()
    run = run_pg_restore(postgres_server.toolset, folder, address, RestoreOptions(), on_progress=no_progress)
    assert not run.messages
    return Copy(postgres_server, manifest, address, folder, backups.repository.fingerprint_key)


@pytest.fixture
def changed(copy: Copy) -> Iterator[Callable[..., DatabaseAddress]]:
    made: list[DatabaseAddress] = []

    def change(*statements: str) -> DatabaseAddress:
        address = copy.server.new_database(template=copy.address.database)
        made.append(address)
        for statement in statements:
            run_sql(address, statement)
        return address

    yield change
    for address in made:
        copy.server.drop_database(address)


def about(proof: Proof, *checks: str) -> list[Finding]:
    return [item for item in proof.findings if item.check in checks]


def record_of(manifest: Manifest, name: str) -> DerivedRecord:
    (record,) = [item for item in manifest.derived if item.name == name]
    return record


ODD_IS_PLAIN = 'ALTER TABLE prices ALTER COLUMN "Odd one" DROP EXPRESSION'
ANEW = """
ALTER TABLE {0} ALTER COLUMN {1} DROP EXPRESSION;
UPDATE {0} SET {1} = {2};
CREATE TABLE {0}_sorted AS TABLE {0} ORDER BY {3};
TRUNCATE {0};
INSERT INTO {0} SELECT * FROM {0}_sorted;
DROP TABLE {0}_sorted
"""


def test_what_the_source_holds_is_recorded_and_nothing_else(copy: Copy) -> None:
    found = {record.name: record for record in copy.manifest.derived}
    assert sorted(found) == [
        "everything", "large", "moods_0", "moods_1", "none_yet", "prices", "stale", "totals",
    ]  # fmt: skip
    assert (found["prices"].rows, found["prices"].generated) == (495, ("Odd one", "gross"))
    assert found["prices"].columns == ("Odd one", "gross", "id", "net", "note")
    assert found["moods_0"].columns == found["moods_1"].columns
    assert (found["large"].columns, found["large"].row_sum, found["large"].rows) == (("twice",), "", ROWS)
    assert (found["stale"].kind, found["stale"].rows) == (DerivedKind.MATERIALIZED_VIEW, 10)
    assert (found["everything"].unread[:18], found["everything"].fingerprint) == ("larger than 1 MiB,", "")


def test_an_equal_copy_is_proven_and_only_what_was_not_compared_is_named(copy: Copy) -> None:
    proof = copy.prove()
    assert [item for item in proof.findings if item.severity is Severity.ERROR] == []
    assert proof.not_measured == []
    assert proof.tables_proven == len(copy.manifest.tables)
    (left,) = about(proof, "derived")
    assert left.object == "public.everything"
    (stale,) = about(proof, "materialized-view")
    assert (stale.object, stale.severity) == ("public.stale", Severity.INFO)
    assert stale.message.startswith("10 rows at the source, 5 after the restore")


def test_values_that_were_computed_otherwise_are_an_error_that_names_the_rows(
    copy: Copy, changed: Callable[..., DatabaseAddress]
) -> None:
    address = changed(
        "CREATE OR REPLACE FUNCTION tax(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2 + ($1 = 417)::int'",
        ODD_IS_PLAIN,
        *ANEW.format("prices", "gross", "public.tax(net)", "id").split(";\n"),
        *ANEW.format("large", "twice", "public.tax(id)", "id").split(";\n"),
    )
    proof = copy.prove(address)
    found = {item.object: item for item in about(proof, "generated-columns")}
    assert sorted(found) == ["public.large", "public.prices"]
    assert {item.severity for item in found.values()} == {Severity.ERROR}
    assert 'columns "Odd one", gross, computed anew' in found["public.prices"].message
    for finding in found.values():
        words = finding.message.rpartition("row")[2].removeprefix("s ").split()
        assert int(words[0]) <= 417 <= int(words[-1]), finding.message
    assert proof.tables_proven == len(copy.manifest.tables) - 2
    assert about(proof, "table-content", "table-rows") == []


def test_rows_in_another_order_are_equal_or_told_as_not_compared(
    copy: Copy, changed: Callable[..., DatabaseAddress]
) -> None:
    address = changed(
        ODD_IS_PLAIN,
        *ANEW.format("prices", "gross", "gross", "id DESC").split(";\n"),
        *ANEW.format("large", "twice", "twice", "id DESC").split(";\n"),
    )
    proof = copy.prove(address)
    assert about(proof, "generated-columns") == []
    assert {item.object for item in about(proof, "table-order")} >= {"public.large", "public.prices"}
    assert [item.object for item in about(proof, "derived")] == ["public.everything", "public.large.twice"]


def test_rows_in_another_order_with_other_values_are_an_error(
    copy: Copy, changed: Callable[..., DatabaseAddress]
) -> None:
    address = changed(ODD_IS_PLAIN, *ANEW.format("prices", "gross", "gross + (id = 3)::int", "id DESC").split(";\n"))
    (finding,) = about(copy.prove(address), "generated-columns")
    assert (finding.object, finding.severity) == ("public.prices", Severity.ERROR)
    assert finding.message.endswith("differ from what the source held")


def test_rows_that_went_to_other_partitions_are_equal_together(
    copy: Copy, changed: Callable[..., DatabaseAddress]
) -> None:
    swap = """ALTER TABLE moods DETACH PARTITION moods_0; ALTER TABLE moods DETACH PARTITION moods_1;
        CREATE TABLE other AS SELECT m, n FROM moods_0; DELETE FROM moods_0;
        INSERT INTO moods_0 (m, n) SELECT m, n FROM moods_1; DELETE FROM moods_1;
        INSERT INTO moods_1 (m, n) SELECT m, n {} FROM other; DROP TABLE other"""
    proof = copy.prove(changed(swap.format("")))
    assert about(proof, "generated-columns", "table-content", "table-rows") == []
    assert {item.object for item in about(proof, "table-order")} == {"public.moods_0", "public.moods_1"}


def test_a_generated_column_that_is_gone_is_an_error(copy: Copy, changed: Callable[..., DatabaseAddress]) -> None:
    proof = copy.prove(changed("ALTER TABLE prices DROP COLUMN gross CASCADE"))
    (finding,) = about(proof, "generated-columns")
    assert (finding.object, finding.severity) == ("public.prices", Severity.ERROR)
    assert "gross" in finding.message


def test_a_view_that_is_not_filled_or_not_there_is_told_once_and_is_an_error(
    copy: Copy, changed: Callable[..., DatabaseAddress]
) -> None:
    proof = copy.prove(changed("REFRESH MATERIALIZED VIEW totals WITH NO DATA", "DROP MATERIALIZED VIEW stale"))
    errors = [item for item in proof.findings if item.severity is Severity.ERROR]
    assert {(item.check, item.object) for item in errors if item.check == "schema-materialized-views"} == {
        ("schema-materialized-views", "public.totals"),
        ("schema-materialized-views", "public.stale"),
    }
    assert about(proof, "materialized-view") == []
    assert proof.not_measured == []


def test_on_a_server_of_another_locale_a_difference_is_not_measured(
    copy: Copy, changed: Callable[..., DatabaseAddress]
) -> None:
    address = changed(ODD_IS_PLAIN, *ANEW.format("prices", "gross", "gross + 1", "id").split(";\n"))
    proof = copy.prove(address, server=replace(copy.manifest.server, ctype="de_DE.UTF-8"))
    assert about(proof, "generated-columns") == []
    assert [(item.check, item.object) for item in proof.not_measured] == [("generated-columns", "public.prices")]


def test_a_backup_from_before_is_proven_and_says_what_was_not_compared(copy: Copy) -> None:
    proof = copy.prove(derived=())
    assert [item for item in proof.findings if item.severity is Severity.ERROR] == []
    assert proof.not_measured == []
    (left,) = about(proof, "derived")
    assert left.severity is Severity.INFO
    assert "public.totals" in left.object
    assert "public.prices.gross" in left.object
    assert "unfilled" not in left.object


# -- what cannot be read at the source --------------------------------------------------------------------------------


@pytest.fixture
def backups(tmp_path: Path, toolsets: Sequence[Toolset]) -> Iterator[RealBackups]:
    made = open_real_backups(tmp_path, toolsets)
    yield made
    made.catalog.close()


FEW = """CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) STORED); INSERT INTO t VALUES (1), (2);
CREATE MATERIALIZED VIEW v AS SELECT * FROM t; CREATE MATERIALIZED VIEW w AS SELECT * FROM t"""


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Have something done between the moment in which a backup finds what to read, and the reading."""
    find = derived.find_derived

    def arrange(do: Callable[[], object]) -> None:
        def find_and_do(
            connection: Connection, tables: Sequence[TableFacts], views: Sequence[TableFacts]
        ) -> list[derived.DerivedTarget]:
            found = find(connection, tables, views)
            do()
            return found

        monkeypatch.setattr(derived_facts, "find_derived", find_and_do)

    return arrange


def test_a_view_that_is_locked_neither_holds_up_nor_fails_the_backup(
    backups: RealBackups,
    database: DatabaseAddress,
    meanwhile: Callable[[Callable[[], object]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_sql(database, FEW)
    monkeypatch.setattr(derived_facts, "LOCK_WAIT", "50ms")
    with database.connect(autocommit=False) as other:
        meanwhile(lambda: other.execute("REFRESH MATERIALIZED VIEW public.v"))
        manifest = backups.back_up(database)
        other.rollback()
    assert record_of(manifest, "v").unread == "a lock kept it from being read"
    assert {record_of(manifest, name).unread for name in ("t", "w")} == {""}
    report = backups.test(manifest)
    assert report.result.outcome is Outcome.PASSED
    assert [(item.check, item.object) for item in report.result.findings] == [("derived", "public.v")]


def test_a_view_that_is_filled_anew_while_the_backup_runs_is_not_compared(
    backups: RealBackups, database: DatabaseAddress, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    run_sql(database, FEW)
    meanwhile(lambda: run_sql(database, "INSERT INTO t VALUES (3); REFRESH MATERIALIZED VIEW v"))
    manifest = backups.back_up(database)
    assert record_of(manifest, "v").unread == "it was filled anew while the backup ran"
    assert (record_of(manifest, "w").rows, record_of(manifest, "t").rows) == (2, 2)
    report = backups.test(manifest)
    assert [(item.check, item.object) for item in report.result.findings] == [("derived", "public.v")]


def test_a_view_that_the_dump_role_may_not_read_is_not_compared(
    backups: RealBackups, database: DatabaseAddress
) -> None:
    run_sql(database, FEW)
    run_sql(database, "CREATE ROLE poor LOGIN PASSWORD 'x'; GRANT SELECT ON t, v TO poor")
    poor = DatabaseAddress({**database.parameters, "user": "poor", "password": "x"})
    try:
        assert record_of(backups.back_up(poor), "w").unread == "the dump role may not read it"
    finally:
        run_sql(database, "DROP OWNED BY poor; DROP ROLE poor")


def test_virtual_generated_columns_hold_nothing_and_are_left_out(
    backups: RealBackups, postgres_server_of: ServerOf
) -> None:
    source = postgres_server_of(18).new_database()
    run_sql(
        source,
        """CREATE TABLE both_kinds (a int, v int GENERATED ALWAYS AS (a + 1) VIRTUAL,
            s int GENERATED ALWAYS AS (a + 2) STORED); INSERT INTO both_kinds (a) VALUES (1);
        CREATE TABLE only_virtual (a int, v int GENERATED ALWAYS AS (a + 1) VIRTUAL)""",
    )
    manifest = backups.back_up(source)
    (record,) = manifest.derived
    assert (record.name, record.generated, record.columns) == ("both_kinds", ("s",), ("a", "s"))
    assert backups.test(manifest).result.findings == ()


# -- reads that hang ---------------------------------------------------------------------------------------------------

SLOW = DerivedRecord(kind=DerivedKind.MATERIALIZED_VIEW, schema="public", name="slow", columns=("a",))


def read(address: DatabaseAddress, toolset: Toolset, guard: ReadGuard, about_bytes: int) -> None:
    with closing(ColumnReader(toolset, address, "UTF8", guard=guard)) as reader, reader.text(SLOW, about_bytes) as text:
        digest_text(text, b"k")


def test_a_read_that_nothing_comes_from_is_ended(
    database: DatabaseAddress, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_sql(database, "CREATE VIEW slow AS SELECT pg_sleep(600)::text AS a")
    guard = ReadGuard(0.3, lambda: None)
    with pytest.raises(ProgramStalled, match="nothing came"):
        read(database, postgres_server.toolset, guard, about_bytes=1 << 30)
    with pytest.raises(psycopg.OperationalError):
        read(database, postgres_server.toolset, guard, about_bytes=10)


def test_a_read_ends_with_the_dump_that_it_belongs_to(
    database: DatabaseAddress, postgres_server: PostgresServer
) -> None:
    run_sql(database, "CREATE VIEW slow AS SELECT pg_sleep(600)::text AS a")

    def check() -> None:
        raise SourceChanged("the dump failed", hint="")

    with pytest.raises(SourceChanged, match="the dump failed"):
        read(database, postgres_server.toolset, ReadGuard(600, check), about_bytes=1 << 30)


@pytest.mark.parametrize("small_bytes", [0, 1 << 30])
def test_both_ways_of_reading_give_the_same(copy: Copy, monkeypatch: pytest.MonkeyPatch, small_bytes: int) -> None:
    monkeypatch.setattr(column_reading, "_SMALL_BYTES", small_bytes)
    with closing(ColumnReader(copy.server.toolset, copy.address, "UTF8")) as reader:
        for name in ("large", "prices", "none_yet", "totals"):
            record = record_of(copy.manifest, name)
            with reader.text(record, 1000) as text:
                digest = digest_text(text, copy.key, with_row_sum=True)
            assert digest.rows == record.rows
            if name != "totals":
                assert digest.fingerprint == record.fingerprint

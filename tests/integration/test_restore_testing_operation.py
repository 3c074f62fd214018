"""A restore test from stored objects to recorded evidence, and what becomes of damage and of missing means."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from shared.catalog.engine import open_catalog
from shared.clock import utc_now
from shared.domain.manifest import Manifest, encode_manifest
from shared.domain.proof import Outcome
from shared.domain.source_checks import parse_checks
from shared.operations.progress import no_progress
from shared.operations.rebuild import rebuild_catalog
from shared.operations.restore_testing import RestoreTestReport
from shared.postgres.connection import DatabaseAddress
from shared.postgres.tools import Toolset
from shared.repository.evidence import evidence_keys
from shared.repository.layout import manifest_key
from shared.repository.repository import Repository
from shared.repository.sealing import load_identities, make_identity
from tests.support.faulty_store import MayOnlyRead
from tests.support.postgres_servers import CorpusDatabase, PostgresServer, run_sql
from tests.support.real_backups import SCRATCH_FOLDER, RealBackups, open_real_backups

LOAD = """
CREATE TABLE orders (id int PRIMARY KEY, note text, at timestamptz NOT NULL);
INSERT INTO orders SELECT g, 'note ' || g, '2026-11-20T12:00:00Z' FROM generate_series(1, 5000) g;
CREATE TABLE items (id int PRIMARY KEY, order_id int);
INSERT INTO items SELECT g, g FROM generate_series(1, 50) g;
CREATE TABLE large_a AS SELECT g AS id, md5(g::text) || md5((-g)::text) AS text FROM generate_series(1, 30000) g;
CREATE TABLE large_b AS SELECT g AS id, md5((g * 3)::text) || md5((-g)::text) AS text FROM generate_series(1, 30000) g;
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
SELECT lo_from_bytea(4242, 'a large object');
"""


@pytest.fixture
def backups(tmp_path: Path, toolsets: Sequence[Toolset]) -> Iterator[RealBackups]:
    made = open_real_backups(tmp_path, toolsets)
    yield made
    made.catalog.close()


@pytest.fixture
def backed_up(backups: RealBackups, database: DatabaseAddress) -> Manifest:
    run_sql(database, LOAD)
    return backups.back_up(database)


def found(report: RestoreTestReport) -> set[tuple[str, str]]:
    return {(finding.check, finding.object) for finding in report.result.findings}


def object_of(manifest: Manifest, table: str) -> str:
    file = next(item.file for item in manifest.tables if item.name == table)
    record = next(item for item in manifest.files if item.path == file)
    return manifest.objects[record.objects[0]].key


def leftovers() -> list[str]:
    return [path.name for path in SCRATCH_FOLDER.glob("*") if path.name.startswith("restore-test-")]


@pytest.mark.parametrize("corpus", ["chinook", "pagila", "northwind", "supabase_like"])
def test_real_databases_are_proven(backups: RealBackups, corpus_database: CorpusDatabase, corpus: str) -> None:
    manifest = backups.back_up(corpus_database(corpus))
    report = backups.test(manifest)
    assert [item for item in report.result.findings if item.severity == "error"] == []
    assert report.result.outcome is Outcome.PASSED, report.result.not_measured
    assert report.result.tables_proven == len(manifest.tables)
    assert report.result.rows_proven == manifest.row_count > 0


def test_the_evidence_is_recorded_and_complete(backups: RealBackups, backed_up: Manifest) -> None:
    report = backups.test(backed_up)
    document = report.document()
    assert document["outcome"] == "passed"
    assert document["source_version"] == document["scratch_version"] == backed_up.server.server_version
    assert list(report.result.phases) == ["fetch", "unseal", "start", "restore_data", "restore_indexes", "prove"]
    recovery = report.result.recovery_time_seconds
    assert recovery is not None
    assert recovery < (report.result.finished_at - report.result.started_at).total_seconds()
    (recorded,) = backups.catalog.restore_tests(backup_id=backed_up.backup_id)
    assert (recorded.outcome, recorded.tables_proven) == (Outcome.PASSED, len(backed_up.tables))
    proven_at = backups.catalog.backup(backed_up.backup_id).proven_at
    assert proven_at is not None
    with open_catalog(f"sqlite:///{backups.folder / 'rebuilt.db'}") as rebuilt:
        rebuild_catalog(backups.repository, rebuilt, now=utc_now, on_progress=no_progress)
        assert rebuilt.restore_tests() == (replace(recorded, run_id=None),)
        assert rebuilt.backup(backed_up.backup_id).proven_at == proven_at
    assert leftovers() == []


def test_a_repository_that_may_only_be_read_costs_a_warning(backups: RealBackups, backed_up: Manifest) -> None:
    refusing = Repository.open(MayOnlyRead(backups.store), fingerprint_key=backups.repository.fingerprint_key)
    report = replace(backups, repository=refusing).test(backed_up)
    assert (report.result.outcome, found(report)) == (Outcome.PASSED, {("evidence", backed_up.backup_id)})
    (recorded,) = backups.catalog.restore_tests(backup_id=backed_up.backup_id)
    assert (recorded.outcome, recorded.findings) == (Outcome.PASSED, report.result.findings)
    assert evidence_keys(backups.repository, "app") == {}


def flip(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 4]) + data[len(data) // 2 + 1 :]


DAMAGES: dict[str, tuple[Callable[[bytes], bytes] | None, str]] = {
    "flipped bit": (flip, "object-digest"),
    "cut": (lambda data: data[:-100], "object-digest"),
    "empty": (lambda _data: b"", "object-digest"),
    "gone": (None, "object-missing"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_fails_with_the_object_and_its_tables(backups: RealBackups, backed_up: Manifest, damage: str) -> None:
    change, check = DAMAGES[damage]
    key = object_of(backed_up, "large_a")
    if change is None:
        backups.store.delete(key)
    else:
        backups.store.put(key, change(backups.store.get(key)), replace=True)
    report = backups.test(backed_up)
    assert report.result.outcome is Outcome.FAILED
    assert (check, key) in found(report)
    assert "public.large_a" in report.result.findings[0].message
    assert backups.catalog.damaged_keys("app") == {key}
    assert backups.catalog.backup(backed_up.backup_id).proven_at is None


def test_every_object_of_a_backup_matters(backups: RealBackups, backed_up: Manifest) -> None:
    for record in backed_up.objects:
        whole = backups.store.get(record.key)
        backups.store.put(record.key, flip(whole), replace=True)
        report = backups.test(backed_up)
        assert ("object-digest", record.key) in found(report)
        backups.store.put(record.key, whole, replace=True)
    assert backups.test(backed_up).result.outcome is Outcome.PASSED


def test_two_objects_swapped_in_the_store_are_found(backups: RealBackups, backed_up: Manifest) -> None:
    one, other = object_of(backed_up, "large_a"), object_of(backed_up, "large_b")
    first, second = backups.store.get(one), backups.store.get(other)
    backups.store.put(one, second, replace=True)
    backups.store.put(other, first, replace=True)
    assert {("object-digest", one), ("object-digest", other)} <= found(backups.test(backed_up))


def forge(backups: RealBackups, manifest: Manifest) -> Manifest:
    """Store a manifest that lies, under a mac that is right."""
    key = manifest_key(manifest.source, manifest.backup_id)
    backups.store.put(key, encode_manifest(manifest, backups.repository.fingerprint_key), replace=True)
    return manifest


def test_files_that_refer_to_each_others_objects_are_found(backups: RealBackups, backed_up: Manifest) -> None:
    paths = [next(item.file for item in backed_up.tables if item.name == name) for name in ("large_a", "large_b")]
    one, other = (next(item for item in backed_up.files if item.path == path) for path in paths)
    swapped = {one.path: replace(one, objects=other.objects), other.path: replace(other, objects=one.objects)}
    files = tuple(swapped.get(item.path, item) for item in backed_up.files)
    report = backups.test(forge(backups, replace(backed_up, files=files)))
    assert {("file-content", "public.large_a"), ("file-content", "public.large_b")} <= found(report)


def test_a_manifest_that_counts_other_rows_is_found(backups: RealBackups, backed_up: Manifest) -> None:
    tables = tuple(replace(item, rows=item.rows - 1) if item.name == "orders" else item for item in backed_up.tables)
    report = backups.test(forge(backups, replace(backed_up, tables=tables)))
    assert ("file-content", "public.orders") in found(report)


def test_a_manifest_that_forgets_a_large_object_is_found(backups: RealBackups, backed_up: Manifest) -> None:
    files = tuple(item for item in backed_up.files if item.path != "blob_4242.dat")
    report = backups.test(forge(backups, replace(backed_up, files=files)))
    assert report.result.outcome is Outcome.FAILED


def test_a_damaged_manifest_fails(backups: RealBackups, backed_up: Manifest) -> None:
    key = manifest_key("app", backed_up.backup_id)
    backups.store.put(key, flip(backups.store.get(key)), replace=True)
    report = backups.test(backed_up)
    assert (report.result.outcome, report.result.findings[0].check) == (Outcome.FAILED, "integrity")
    assert backups.catalog.backup(backed_up.backup_id).damaged_at is not None


def test_a_missing_manifest_fails_and_its_backup_counts_as_none(backups: RealBackups, backed_up: Manifest) -> None:
    backups.store.delete(manifest_key("app", backed_up.backup_id))
    report = backups.test(backed_up)
    assert (report.result.outcome, report.result.findings[0].check) == (Outcome.FAILED, "integrity")
    assert backups.catalog.backup(backed_up.backup_id).damaged_at is not None
    status = backups.catalog.source_status("app")
    assert status is not None
    assert status.newest_complete_id == ""


def test_another_identity_is_not_measured(backups: RealBackups, backed_up: Manifest) -> None:
    other = load_identities(make_identity()[0])
    report = backups.test(backed_up, identities=other)
    assert report.result.outcome is Outcome.NOT_MEASURED
    assert "no given identity opens the sealed bytes. Give an identity" in report.result.not_measured[0].reason
    assert backups.test(backed_up, identities=()).result.outcome is Outcome.NOT_MEASURED


def test_a_missing_server_is_not_measured(backups: RealBackups, backed_up: Manifest) -> None:
    others = [toolset for toolset in backups.toolsets if toolset.major != backed_up.server.major]
    report = backups.test(backed_up, toolsets=others)
    assert report.result.outcome is Outcome.NOT_MEASURED
    assert "server was found" in report.result.not_measured[0].reason
    (recorded,) = backups.catalog.restore_tests(backup_id=backed_up.backup_id)
    assert recorded.outcome is Outcome.NOT_MEASURED


def test_a_store_that_is_gone_is_not_measured(backups: RealBackups, backed_up: Manifest) -> None:
    (backups.folder / "repository").rename(backups.folder / "elsewhere")
    assert backups.test(backed_up).result.outcome is Outcome.NOT_MEASURED
    assert backups.catalog.backup(backed_up.backup_id).damaged_at is None


def test_rows_that_do_not_restore_fail(backups: RealBackups, database: DatabaseAddress) -> None:
    run_sql(
        database,
        "CREATE TABLE rates (id int); INSERT INTO rates VALUES (1); CREATE TABLE prices (id int);"
        "CREATE FUNCTION has_rates() RETURNS bool LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM public.rates)';"
        "ALTER TABLE prices ADD CHECK (has_rates()); INSERT INTO prices VALUES (1);",
    )
    # The table that the check reads is restored later, so its rows are refused then.
    run_sql(database, "ALTER TABLE rates RENAME TO zz_rates")
    run_sql(
        database,
        "CREATE OR REPLACE FUNCTION has_rates() RETURNS bool LANGUAGE sql "
        "AS 'SELECT count(*) > 1 FROM public.zz_rates'",
    )
    report = backups.test(backups.back_up(database))
    assert report.result.outcome is Outcome.FAILED
    assert {("restore-message", "TABLE DATA prices"), ("table-rows", "public.prices")} <= found(report)
    assert report.result.tables_proven == 1


CHECKS = {
    "rows": {"public.orders": 5000, "public.items": 51},
    "zero_rows": {
        "items without order": "SELECT 1 FROM items i LEFT JOIN orders o ON o.id = i.order_id WHERE o.id IS NULL",
        "notes": "SELECT note FROM orders WHERE note LIKE 'note 1%'",
        "writes": "SELECT set_config('transaction_read_only', 'off', false), lo_create(1)",
        "two statements": "SELECT 1) AS x; DELETE FROM public.orders; SELECT count(*) FROM (SELECT 1",
        "another table": "SELECT 1 FROM nowhere",
    },
    "row_security": {"enabled": ["public.orders"], "forced": ["public.orders", "public.items"]},
    "freshness": {"public.orders.at": "1h"},
    "expect": {"answer": {"query": "SELECT 6 * 7", "value": 42}, "wrong": {"query": "SELECT 'secret'", "value": "x"}},
}


def test_the_sources_own_checks_run_and_cannot_write(backups: RealBackups, backed_up: Manifest) -> None:
    report = backups.test(backed_up, checks=parse_checks(CHECKS, "checks.toml"))
    assert {item for item in found(report) if item[0].startswith("check-")} == {
        ("check-rows", "public.items"),
        ("check-zero-rows", "notes"),
        ("check-row-security", "public.orders"),
        ("check-row-security", "public.items"),
        ("check-freshness", "public.orders.at"),
        ("check-value", "wrong"),
    }
    assert {item.object for item in report.result.not_measured} == {"writes", "two statements", "another table"}
    assert "secret" not in repr(report)


def test_an_extension_that_the_server_lacks_is_not_measured(
    backups: RealBackups, database: DatabaseAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_sql(
        database,
        "CREATE EXTENSION hstore; CREATE TABLE bags (id int, bag hstore); INSERT INTO bags VALUES (1, 'a=>1');"
        "CREATE VIEW keys AS SELECT akeys(bag) FROM bags; CREATE TABLE plain (id int); INSERT INTO plain VALUES (1)",
    )
    manifest = backups.back_up(database)
    monkeypatch.setattr(Toolset, "missing_extensions", lambda _self, names: tuple(n for n in names if n == "hstore"))
    report = backups.test(manifest)
    assert report.result.outcome is Outcome.NOT_MEASURED
    assert report.result.findings == ()
    assert report.result.tables_proven == 1
    assert "public.bags" in {item.object for item in report.result.not_measured}


def test_a_configured_server_is_used_and_left_clean(
    backups: RealBackups, backed_up: Manifest, postgres_server: PostgresServer
) -> None:
    before = run_sql(postgres_server.address, "SELECT datname FROM pg_database UNION SELECT rolname FROM pg_roles")
    report = backups.test(backed_up, scratch_address=postgres_server.address)
    after = run_sql(postgres_server.address, "SELECT datname FROM pg_database UNION SELECT rolname FROM pg_roles")
    assert report.result.outcome is Outcome.PASSED
    assert sorted(before) == sorted(after)

"""Incidents in a real database are named by the backup after them; ordinary life is not."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from shared.domain.proof import Outcome, Severity
from shared.postgres.connection import DatabaseAddress
from shared.postgres.tools import Toolset
from tests.support.postgres_servers import run_sql
from tests.support.real_backups import RealBackups, open_real_backups

# Each incident has objects of its own, so that one backup shows them all and none hides another.
SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop.orders (id int PRIMARY KEY, note text, paid boolean NOT NULL DEFAULT false);
CREATE TABLE shop.customers (id int PRIMARY KEY, name text);
CREATE TABLE shop.logs (id int PRIMARY KEY, line text);
CREATE TABLE shop.invoices (id int PRIMARY KEY, total numeric(10, 2));
CREATE TABLE shop.doubled (id int, line text);
CREATE TABLE shop.renamed (id int PRIMARY KEY, line text);
CREATE TABLE shop.guarded (id int PRIMARY KEY, owner text);
CREATE TABLE shop.queue (id int PRIMARY KEY);
CREATE TABLE shop.events (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE shop.events_01 PARTITION OF shop.events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE shop.events_02 PARTITION OF shop.events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE INDEX ON shop.events (at);
CREATE INDEX customers_name ON shop.customers (name);
ALTER TABLE shop.guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON shop.guarded USING (owner = current_user);
CREATE FUNCTION shop.price(integer) RETURNS integer LANGUAGE sql AS 'SELECT $1 * 2';
COMMENT ON TABLE shop.orders IS 'one per sale';
INSERT INTO shop.orders SELECT i, 'order ' || i FROM generate_series(1, 2000) i;
INSERT INTO shop.customers SELECT i, 'customer ' || i FROM generate_series(1, 800) i;
INSERT INTO shop.logs SELECT i, 'line ' || i FROM generate_series(1, 300) i;
INSERT INTO shop.invoices SELECT i, i FROM generate_series(1, 700) i;
INSERT INTO shop.doubled SELECT i, 'line ' || i FROM generate_series(1, 500) i;
INSERT INTO shop.renamed SELECT i, 'kept ' || i FROM generate_series(1, 400) i;
INSERT INTO shop.guarded SELECT i, 'app' FROM generate_series(1, 100) i;
INSERT INTO shop.events SELECT i, '2026-01-15'::date + i % 30 FROM generate_series(1, 600) i;
SELECT lo_create(4711);
"""

INCIDENTS = """
DELETE FROM shop.orders WHERE id % 10 <> 0;
TRUNCATE shop.logs;
DROP TABLE shop.invoices;
ALTER TABLE shop.renamed RENAME TO kept;
INSERT INTO shop.doubled SELECT * FROM shop.doubled;
CREATE TABLE shop.fresh (id int);
ALTER TABLE shop.orders ALTER COLUMN note TYPE varchar(50);
DROP INDEX shop.customers_name;
DROP POLICY own_rows ON shop.guarded;
ALTER TABLE shop.guarded DISABLE ROW LEVEL SECURITY;
CREATE OR REPLACE FUNCTION shop.price(integer) RETURNS integer LANGUAGE sql AS 'SELECT $1 * 3';
"""

ORDINARY = """
INSERT INTO shop.orders SELECT i, 'order ' || i FROM generate_series(2001, 2400) i;
UPDATE shop.customers SET name = upper(name) WHERE id % 3 = 0;
DELETE FROM shop.logs WHERE id % 5 = 0;
INSERT INTO shop.queue VALUES (1), (2);
DELETE FROM shop.guarded WHERE id = 7;
CREATE TABLE shop.events_03 PARTITION OF shop.events FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
INSERT INTO shop.events SELECT i, '2026-03-10' FROM generate_series(601, 900) i;
DROP TABLE shop.events_01;
SELECT lo_create(4712);
SELECT lo_unlink(4711);
ANALYZE;
"""


@pytest.fixture
def backups(tmp_path: Path, toolsets: Sequence[Toolset]) -> RealBackups:
    return open_real_backups(tmp_path, toolsets)


def test_incidents_are_named_with_what_was_expected_and_found(backups: RealBackups, database: DatabaseAddress) -> None:
    run_sql(database, SHOP)
    first = backups.back_up(database)
    run_sql(database, INCIDENTS)
    second = backups.back_up(database)
    rows = {(row.rule.value, row.object_name): row for row in backups.catalog.open_anomalies("app")}
    assert {name: row.severity for name, row in rows.items()} == {
        ("table-shrunk", "shop.orders"): Severity.WARNING,
        ("table-empty", "shop.logs"): Severity.WARNING,
        ("table-dropped", "shop.invoices"): Severity.WARNING,
        ("table-grown", "shop.doubled"): Severity.INFO,
        ("table-new", "2 tables"): Severity.INFO,
        ("schema-changed", "added"): Severity.INFO,
        ("schema-changed", "removed"): Severity.WARNING,
        ("schema-changed", "changed"): Severity.WARNING,
    }
    sentences = {name: row.sentence for name, row in rows.items()}
    assert sentences["table-shrunk", "shop.orders"] == "shop.orders has 200 rows, 90 % fewer than the 2,000 before"
    assert sentences["table-empty", "shop.logs"] == "shop.logs is empty; it had 300 rows"
    assert sentences["table-dropped", "shop.invoices"] == "shop.invoices is gone; it had 700 rows"
    assert sentences["table-grown", "shop.doubled"] == "shop.doubled has 1,000 rows, 2.0 times the 500 before"
    assert sentences["table-new", "2 tables"] == "2 tables are new: shop.fresh (0 rows), shop.kept (was shop.renamed)"
    removed, changed = sentences["schema-changed", "removed"], sentences["schema-changed", "changed"]
    for name in ("policy own_rows on shop.guarded", "index shop.customers_name", "table shop.invoices"):
        assert name in removed
    assert f"since {first.backup_id}" in removed
    for name in ("function shop.price(integer)", "column shop.orders.note (type)", "table shop.guarded (row security)"):
        assert name in changed
    row = backups.catalog.backup(second.backup_id)
    assert "shop.logs is empty" in row.anomaly
    day = backups.catalog.backup_days(since=second.started_at.date(), source="app")
    assert sum(item.anomaly for item in day) == 1


def test_ordinary_changes_raise_nothing_that_asks_for_a_look(backups: RealBackups, database: DatabaseAddress) -> None:
    run_sql(database, SHOP)
    backups.back_up(database)
    run_sql(database, ORDINARY)
    second = backups.back_up(database)
    assert backups.catalog.open_anomalies("app") == ()
    assert backups.catalog.backup(second.backup_id).anomaly == ""
    check = backups.catalog.anomaly_check(second.backup_id)
    assert check is not None
    assert check.outcome is Outcome.PASSED
    assert {item.check for item in check.not_measured} == {"dumped-size", "stored-size", "duration", "compression"}
    third = backups.back_up(database)
    assert backups.catalog.schema_changes(third.backup_id) == ()


def test_schema_objects_are_kept_as_keyed_digests_only(backups: RealBackups, database: DatabaseAddress) -> None:
    run_sql(database, SHOP)
    backups.back_up(database)
    digests = backups.catalog.schema_digests("app")
    assert ("functions", "shop.price(integer)") in digests
    catalog_bytes = (backups.folder / "catalog.db").read_bytes() + (backups.folder / "catalog.db-wal").read_bytes()
    assert b"shop.price" in catalog_bytes
    assert b"SELECT $1 * 2" not in catalog_bytes
    assert b"one per sale" not in catalog_bytes

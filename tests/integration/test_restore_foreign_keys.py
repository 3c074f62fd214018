"""A chosen table gets back its foreign key to a table that is there already; one that does not fit undoes nothing."""

from collections.abc import Iterator, Sequence

import pytest

from shared.domain.manifest import Manifest
from shared.domain.proof import Finding, Outcome, Severity
from shared.operations.restore import RestoreReport
from shared.postgres.connection import DatabaseAddress
from shared.postgres.tools import Toolset
from tests.support.postgres_servers import PostgresServer, run_sql
from tests.support.real_backups import RealBackups, open_real_backups

SHOP = """
CREATE SCHEMA "odd shop";
CREATE TABLE "odd shop"."Customers" (region int, "Id" int, name text, PRIMARY KEY (region, "Id"));
INSERT INTO "odd shop"."Customers" SELECT 1, g, 'name ' || g FROM generate_series(1, 9) g;
CREATE TABLE public.orders (id int PRIMARY KEY, customer int, region int DEFAULT 1,
    CONSTRAINT orders_customer FOREIGN KEY (customer, region) REFERENCES "odd shop"."Customers" ("Id", region)
        ON DELETE CASCADE);
COMMENT ON CONSTRAINT orders_customer ON public.orders IS 'whose it is';
INSERT INTO public.orders SELECT g, 1 + g % 9 FROM generate_series(1, 100) g;
"""
KEYS = """
SELECT conname, pg_get_constraintdef(oid), convalidated, obj_description(oid) FROM pg_constraint
WHERE contype = 'f' AND conrelid = 'public.orders'::regclass
"""


@pytest.fixture(scope="module")
def source(postgres_server: PostgresServer) -> Iterator[DatabaseAddress]:
    address = postgres_server.new_database("keys_source")
    run_sql(address, SHOP)
    yield address
    postgres_server.drop_database(address)


@pytest.fixture(scope="module")
def backups(tmp_path_factory: pytest.TempPathFactory, toolsets: Sequence[Toolset]) -> Iterator[RealBackups]:
    made = open_real_backups(tmp_path_factory.mktemp("keys"), toolsets)
    yield made
    made.catalog.close()


@pytest.fixture(scope="module")
def manifest(backups: RealBackups, source: DatabaseAddress) -> Manifest:
    return backups.back_up(source)


@pytest.fixture
def damaged(postgres_server: PostgresServer, source: DatabaseAddress) -> Iterator[DatabaseAddress]:
    """The source's content without the table that somebody dropped."""
    address = postgres_server.new_database(template=source.database)
    run_sql(address, "DROP TABLE public.orders")
    yield address
    postgres_server.drop_database(address)


def left_out(report: RestoreReport) -> list[Finding]:
    return [item for item in report.findings if item.check == "left-out"]


def test_a_key_to_a_table_that_is_there_comes_back_with_its_comment(
    backups: RealBackups, manifest: Manifest, source: DatabaseAddress, damaged: DatabaseAddress
) -> None:
    report = backups.restore(manifest, damaged, "public.orders")

    assert (left_out(report), report.outcome, report.rows_restored) == ([], Outcome.PASSED, 100)
    assert run_sql(damaged, KEYS) == run_sql(source, KEYS)


def test_a_key_that_the_rows_there_do_not_fit_is_named_and_the_rows_stay(
    backups: RealBackups, manifest: Manifest, damaged: DatabaseAddress
) -> None:
    run_sql(damaged, 'DELETE FROM "odd shop"."Customers" WHERE "Id" = 7')

    report = backups.restore(manifest, damaged, "public.orders")

    (finding,) = left_out(report)
    assert (finding.severity, finding.object) == (Severity.WARNING, 'fk constraint public."orders orders_customer"')
    assert finding.message.startswith("not restored: insert or update on table")
    assert "(7" not in finding.message
    assert "ADD CONSTRAINT orders_customer FOREIGN KEY (customer, region)" in finding.hint
    assert (report.outcome, run_sql(damaged, KEYS)) == (Outcome.PASSED, [])
    assert run_sql(damaged, "SELECT count(*) FROM public.orders") == [(100,)]


@pytest.mark.parametrize(
    "change",
    [
        'ALTER TABLE "odd shop"."Customers" DROP CONSTRAINT "Customers_pkey"',
        'ALTER TABLE "odd shop"."Customers" DROP CONSTRAINT "Customers_pkey", ADD UNIQUE ("Id")',
        'ALTER TABLE "odd shop"."Customers" RENAME COLUMN region TO place',
        'DROP TABLE "odd shop"."Customers"',
    ],
)
def test_a_key_whose_table_or_key_is_not_there_is_named_as_left_out(
    backups: RealBackups, manifest: Manifest, damaged: DatabaseAddress, change: str
) -> None:
    run_sql(damaged, change)

    report = backups.restore(manifest, damaged, "public.orders")

    messages = {item.object: item.message for item in left_out(report)}
    assert messages['fk constraint public."orders orders_customer"'] == (
        "not restored: needs odd shop.Customers, which is not restored"
    )
    assert (report.outcome, run_sql(damaged, KEYS)) == (Outcome.PASSED, [])

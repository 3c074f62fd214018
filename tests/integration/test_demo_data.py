"""The demo's sample database: the same for the same seed on every major, as rich as promised, and alive by the day."""

import hashlib
from collections.abc import Iterator

import pytest

from shared.demo.sample_database import build_sample_database, change_a_day, expected_facts
from shared.errors import SourceUnreachable
from shared.postgres.connection import DatabaseAddress
from tests.support.postgres_servers import PostgresServer, ServerOf, run_sql

SIZE_BYTES = 2_000_000
TABLES = """
select format('%I.%I', nspname, relname)
from pg_catalog.pg_class join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
where relkind in ('r', 'm') and relispopulated and nspname !~ '^(pg_|information_schema)'
order by 1
"""


FEATURES = {
    "range partitions": "pg_catalog.pg_partitioned_table where partstrat = 'r'",
    "hash partitions": "pg_catalog.pg_partitioned_table where partstrat = 'h'",
    "inheritance": "pg_catalog.pg_inherits where inhparent = 'analytics.signals'::regclass",
    "materialized views": "pg_catalog.pg_matviews where ispopulated",
    "views": "pg_catalog.pg_views where schemaname = 'shop'",
    "policies": "pg_catalog.pg_policies where permissive = 'RESTRICTIVE'",
    "row triggers": "pg_catalog.pg_trigger where not tgisinternal and not tgdeferrable",
    "constraint triggers": "pg_catalog.pg_trigger where not tgisinternal and tgdeferrable",
    "security definer functions": "pg_catalog.pg_proc where prosecdef and pronamespace = 'audit'::regnamespace",
    "standard SQL functions": "pg_catalog.pg_proc where prosqlbody is not null and pronamespace = 'shop'::regnamespace",
    "procedures": "pg_catalog.pg_proc where prokind = 'p' and pronamespace = 'shop'::regnamespace",
    "aggregates": "pg_catalog.pg_proc where prokind = 'a' and pronamespace = 'shop'::regnamespace",
    "generated columns": "pg_catalog.pg_attribute where attgenerated = 's'",
    "identity always": "pg_catalog.pg_attribute where attidentity = 'a'",
    "identity by default": "pg_catalog.pg_attribute where attidentity = 'd'",
    "enums": "pg_catalog.pg_type where typtype = 'e'",
    "domains": "pg_catalog.pg_type where typtype = 'd' and typnamespace = 'shop'::regnamespace",
    "ranges": "pg_catalog.pg_type where typtype = 'r' and typnamespace = 'shop'::regnamespace",
    "deferrable foreign keys": "pg_catalog.pg_constraint where contype = 'f' and condeferrable",
    "exclusion constraints": "pg_catalog.pg_constraint where contype = 'x'",
    "partial indexes": "pg_catalog.pg_index where indpred is not null and indrelid = 'shop.orders'::regclass",
    "expression indexes": "pg_catalog.pg_index where indexprs is not null and indrelid = 'shop.customers'::regclass",
    "extended statistics": "pg_catalog.pg_statistic_ext",
    "publications": "pg_catalog.pg_publication",
    "default privileges": "pg_catalog.pg_default_acl",
    "column grants": "pg_catalog.pg_attribute where attacl is not null and attrelid = 'billing.payments'::regclass",
    "grants on large objects": "pg_catalog.pg_largeobject_metadata where lomacl is not null",
    "settings of the database": (
        "pg_catalog.pg_db_role_setting join pg_catalog.pg_database"
        " on pg_database.oid = setdatabase and datname = current_database()"
    ),
    "JSON with something in it": "shop.products where attributes ->> 'material' is not null",
    "arrays with a NULL in them": "accounts.members where array_position(tags, null) is not null",
    "text beyond ASCII": "shop.customers where last_name ~ '[^ -~]'",
    "an empty large object": "pg_catalog.pg_largeobject_metadata where length(lo_get(oid)) = 0",
}


def fingerprints(address: DatabaseAddress) -> dict[str, str]:
    """Digest the COPY text of every table, in the order the rows lie in, and of every large object."""
    found = {}
    with address.connect(read_only=True) as connection:
        for (table,) in connection.execute(TABLES).fetchall():
            digest = hashlib.sha256()
            with connection.cursor().copy(f"copy (select * from {table}) to stdout".encode()) as copy:
                for chunk in copy:
                    digest.update(chunk)
            found[str(table)] = digest.hexdigest()
        for oid, content in connection.execute(
            "select oid, encode(sha256(lo_get(oid)), 'hex') from pg_catalog.pg_largeobject_metadata order by oid"
        ):
            found[f"large object {oid}"] = str(content)
    return found


def count(address: DatabaseAddress, query: str) -> object:
    return run_sql(address, f"select count(*) from {query}")[0][0]


@pytest.fixture(scope="module")
def sample(postgres_server: PostgresServer) -> Iterator[DatabaseAddress]:
    """A freshly built sample; tests only read it."""
    address = postgres_server.new_database()
    build_sample_database(address, size_bytes=SIZE_BYTES)
    yield address
    postgres_server.drop_database(address)


def test_same_seed_gives_the_same_database(sample: DatabaseAddress, database: DatabaseAddress) -> None:
    build_sample_database(database, size_bytes=SIZE_BYTES)
    assert fingerprints(database) == fingerprints(sample)


def test_other_seed_gives_another_database(sample: DatabaseAddress, database: DatabaseAddress) -> None:
    build_sample_database(database, seed=7, size_bytes=SIZE_BYTES)
    first, second = fingerprints(sample), fingerprints(database)
    assert first.keys() == second.keys()
    assert first["shop.orders"] != second["shop.orders"]
    assert first["support.messages"] != second["support.messages"]


@pytest.mark.parametrize("major", [15, 18])
def test_every_major_holds_the_same_rows(sample: DatabaseAddress, postgres_server_of: ServerOf, major: int) -> None:
    server = postgres_server_of(major)
    address = server.new_database()
    try:
        build_sample_database(address, size_bytes=SIZE_BYTES)
        assert fingerprints(address) == fingerprints(sample)
    finally:
        server.drop_database(address)


def test_sample_holds_what_is_expected(sample: DatabaseAddress) -> None:
    expected = expected_facts(SIZE_BYTES)
    assert {table: count(sample, table) for table in expected.table_rows} == expected.table_rows
    assert [table for table in expected.empty_tables if count(sample, table) != 0] == []
    assert count(sample, "pg_catalog.pg_largeobject_metadata") == expected.large_object_count
    forced = run_sql(sample, "select oid::regclass::text from pg_catalog.pg_class where relforcerowsecurity")
    assert [name for (name,) in forced] == list(expected.forced_row_security)
    own_schemas = "select nspname from pg_catalog.pg_namespace where nspname !~ '^(pg_|info|public$)' order by 1"
    schemas = run_sql(sample, own_schemas)
    assert [name for (name,) in schemas] == list(expected.schemas)
    roles = run_sql(sample, "select rolname from pg_catalog.pg_roles where rolname ~ '^harbour_' order by 1")
    assert [name for (name,) in roles] == list(expected.roles)


@pytest.mark.parametrize("feature", FEATURES)
def test_sample_has(sample: DatabaseAddress, feature: str) -> None:
    assert count(sample, FEATURES[feature]) != 0


def test_sample_is_consistent_with_itself(sample: DatabaseAddress) -> None:
    assert count(sample, "shop.orders where total <> shop.order_total(id)") == 0
    assert count(sample, "shop.orders left join billing.payments on order_id = orders.id where amount <> total") == 0
    digests = "support.attachments where digest <> sha256(lo_get(content))"
    assert count(sample, digests) == 0


def test_row_security_narrows_what_the_app_sees(sample: DatabaseAddress) -> None:
    with sample.connect() as connection:
        connection.execute("set row_security = on")
        one_of_them = "(select id::text from accounts.workspaces limit 1)"
        connection.execute(f"select set_config('harbour.workspace', {one_of_them}, false)".encode())
        connection.execute("set role harbour_app")
        seen = connection.execute("select count(*), count(distinct workspace_id) from accounts.members").fetchone()
    assert seen == (4, 1)


def test_a_day_changes_a_few_tables_and_leaves_the_rest(database: DatabaseAddress) -> None:
    build_sample_database(database, size_bytes=SIZE_BYTES)
    before = fingerprints(database)
    change_a_day(database, 1)
    after = fingerprints(database)
    changed = {name for name in after if before.get(name) != after[name]}
    assert changed == {
        "analytics.daily_revenue",
        "analytics.events_2026_11",
        "audit.changes",
        "billing.payments",
        "large object 500001",
        "shop.carts",
        "shop.order_lines_3",
        "shop.orders",
        "shop.products",
        "support.attachments",
        "support.tickets",
    }
    assert before.keys() - after.keys() == set()
    assert count(database, "shop.orders where total <> shop.order_total(id)") == 0


def test_days_follow_each_other_alike(database: DatabaseAddress, postgres_server: PostgresServer) -> None:
    build_sample_database(database, size_bytes=SIZE_BYTES)
    copy = postgres_server.new_database(template=database.database)
    try:
        for day in range(1, 13):  # into the next month's partition
            change_a_day(database, day)
            change_a_day(copy, day)
        assert fingerprints(copy) == fingerprints(database)
        assert count(database, "analytics.events_2026_12") != 0
    finally:
        postgres_server.drop_database(copy)


def test_a_day_that_fails_leaves_nothing(database: DatabaseAddress) -> None:
    build_sample_database(database, size_bytes=SIZE_BYTES)
    change_a_day(database, 1)
    before = fingerprints(database)
    with pytest.raises(Exception, match="500001"):  # the day's large object is there already
        change_a_day(database, 1)
    assert fingerprints(database) == before


def test_progress_reaches_its_end(database: DatabaseAddress) -> None:
    told: list[tuple[str, int, int | None]] = []
    build_sample_database(database, size_bytes=1_000_000, on_progress=lambda *said: told.append(said))
    assert [done for _, done, _ in told] == list(range(1, len(told) + 1))
    assert {total for _, _, total in told} == {len(told)}


def test_too_small_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="too small"):
        build_sample_database(DatabaseAddress({}), size_bytes=10)


def test_server_that_is_not_there_is_named(database: DatabaseAddress) -> None:
    nowhere = DatabaseAddress({**database.parameters, "port": "1"})
    with pytest.raises(SourceUnreachable):
        build_sample_database(nowhere, size_bytes=SIZE_BYTES)

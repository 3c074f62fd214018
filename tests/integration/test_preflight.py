"""Preflight on real servers: what the dump role cannot see is named together with the statement that mends it."""

import threading
from collections.abc import Iterator

import pytest
from psycopg import sql

from shared.domain.manifest import Exclusion
from shared.domain.proof import Finding, Severity
from shared.domain.source import DumpPolicy, Source
from shared.errors import SourceRefused
from shared.postgres.connection import DatabaseAddress
from shared.postgres.facts import read_tables
from shared.postgres.preflight import Preflight, check_source
from tests.support.copies import ServerWith, copy_by_dump
from tests.support.postgres_servers import PostgresServer, run_sql
from tests.support.transaction_pooler import TransactionPooler

_ROLE = 'weak "dump" role'
_SCHEMA = """
CREATE SCHEMA app; CREATE SCHEMA "odd ""schema";
CREATE TABLE app.orders (id serial PRIMARY KEY, note text);
CREATE TABLE "odd ""schema"."table
two" (id int);
CREATE TABLE app.hidden (id int); ALTER TABLE app.hidden ENABLE ROW LEVEL SECURITY;
CREATE TABLE app.forced (id int); ALTER TABLE app.forced ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE TABLE app.events (at date, n int) PARTITION BY RANGE (at);
CREATE TABLE app.events_1 PARTITION OF app.events DEFAULT;
CREATE UNLOGGED TABLE app.quick (id int);
CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE app.far (line text) SERVER files OPTIONS (filename '/nonexistent');
SELECT lo_create(4711), lo_create(4712);
"""


def _check(
    address: DatabaseAddress, policy: DumpPolicy | None = None, *, known: tuple[Exclusion, ...] = ()
) -> Preflight:
    source = Source(name="app", dump=policy or DumpPolicy())
    return check_source(address, source, client_major=18, unreadable_known=known)


def _errors(preflight: Preflight) -> dict[tuple[str, str], Finding]:
    return {(finding.check, finding.object): finding for finding in preflight.errors}


def _acting_as(role: str) -> DumpPolicy:
    return DumpPolicy(role=role)


@pytest.fixture(params=[15, 17, 18])
def weak_source(postgres_server_of: ServerWith, request: pytest.FixtureRequest) -> Iterator[DatabaseAddress]:
    """A database with something of every kind and a role that may see nothing of it."""
    server = postgres_server_of(request.param, ("file_fdw",))
    address = server.new_database()
    run_sql(address, _SCHEMA)
    with address.connect() as connection:
        role = sql.Identifier(_ROLE)
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(role))
        connection.execute(sql.SQL("CREATE ROLE {}").format(role))
    yield address
    with address.connect() as connection:
        connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
    server.drop_database(address)
    run_sql(server.address, f'DROP ROLE "{_ROLE.replace(chr(34), chr(34) * 2)}"')


def test_everything_the_role_cannot_see_is_an_error_and_the_remedies_mend_it(weak_source: DatabaseAddress) -> None:
    quoted = '"weak ""dump"" role"'
    before = _check(weak_source, _acting_as(_ROLE))
    errors = _errors(before)
    table_two = ("table-select", 'odd "schema.table\ntwo')
    assert {
        ("schema-usage", "app"),
        ("table-select", "app.orders"),
        ("sequence-select", "app.orders_id_seq"),
        ("table-select", "app.events"),
        ("table-select", "app.events_1"),
        ("row-security", "app.hidden"),
        ("row-security", "app.forced"),
        ("large-object-select", "large object 4711"),
        table_two,
    } <= errors.keys()
    assert errors["table-select", "app.orders"].hint == f"Run: GRANT SELECT ON TABLE app.orders TO {quoted};"
    assert errors["row-security", "app.hidden"].hint == f"Run: ALTER ROLE {quoted} BYPASSRLS;"
    with weak_source.connect() as connection:
        for finding in errors.values():
            assert finding.hint.startswith("Run: ")
            connection.execute(finding.hint.removeprefix("Run: ").encode())
    assert _check(weak_source, _acting_as(_ROLE)).errors == ()


def test_summed_up_remedies_are_enough_for_tables(weak_source: DatabaseAddress) -> None:
    preflight = _check(weak_source, _acting_as(_ROLE))
    assert 'GRANT SELECT ON ALL TABLES IN SCHEMA app TO "weak ""dump"" role";' in preflight.remedies
    with weak_source.connect() as connection:
        for statement in preflight.remedies:
            connection.execute(statement.encode())
    assert {check for check, _ in _errors(_check(weak_source, _acting_as(_ROLE)))} == {"large-object-select"}


def test_superuser_sees_everything_and_is_told_what_a_dump_cannot_hold(weak_source: DatabaseAddress) -> None:
    preflight = _check(weak_source)
    assert preflight.errors == ()
    assert {(finding.check, finding.object) for finding in preflight.findings} == {
        ("unlogged-table", "app.quick"),
        ("foreign-table", "app.far"),
    }
    assert [item.object for item in preflight.excluded] == ["rows of app.far"]


def test_owner_without_force_may_read_past_row_security(weak_source: DatabaseAddress) -> None:
    run_sql(weak_source, 'ALTER TABLE app.hidden OWNER TO "weak ""dump"" role"')
    run_sql(weak_source, 'ALTER TABLE app.forced OWNER TO "weak ""dump"" role"')
    found = _errors(_check(weak_source, _acting_as(_ROLE)))
    assert ("row-security", "app.hidden") not in found
    assert ("row-security", "app.forced") in found


def test_exclusions_take_partitions_with_them_and_are_recorded(weak_source: DatabaseAddress) -> None:
    policy = DumpPolicy(
        excluded_tables=(Exclusion(object="app.events", reason="rebuilt nightly"),),
        excluded_data=(Exclusion(object="app.quick", reason="a cache"),),
        excluded_schemas=(Exclusion(object='odd "schema', reason="scratch"),),
    )
    preflight = _check(weak_source, policy)
    assert set(preflight.excluded_tables) == {("app", "events"), ("app", "events_1")}
    assert preflight.excluded_data == (("app", "quick"),)
    assert preflight.excluded_schemas == ('odd "schema',)
    recorded = {item.object: item.reason for item in preflight.excluded}
    assert recorded["app.events_1"] == "rebuilt nightly"
    assert recorded["rows of app.quick"] == "a cache"
    assert recorded['schema odd "schema'] == "scratch"
    with weak_source.connect(read_only=True) as connection:
        left_out = {table.name for table in read_tables(connection) if preflight.leaves_out(table)}
    assert left_out == {"events", "events_1", "quick", "table\ntwo"}


def test_exclusion_that_matches_nothing_is_an_error(weak_source: DatabaseAddress) -> None:
    policy = DumpPolicy(
        excluded_tables=(Exclusion(object="app.order", reason="typing error"),),
        excluded_schemas=(Exclusion(object="ap", reason="typing error"),),
    )
    assert set(_errors(_check(weak_source, policy))) == {
        ("exclusion-unmatched", "app.order"),
        ("exclusion-unmatched", "ap"),
    }


def test_excluded_table_needs_no_privilege(weak_source: DatabaseAddress) -> None:
    run_sql(weak_source, 'GRANT USAGE ON SCHEMA app TO "weak ""dump"" role"')
    policy = DumpPolicy(role=_ROLE, excluded_tables=(Exclusion(object="app.orders", reason="not needed"),))
    names = {name for _, name in _errors(_check(weak_source, policy))}
    assert "app.orders" not in names
    assert "app.orders_id_seq" not in names, "its sequence goes with it"
    assert "app.hidden" in names


def test_known_unreadable_tables_are_left_out_only_where_they_cannot_be_read(weak_source: DatabaseAddress) -> None:
    known = (
        Exclusion(object="app.orders", reason="nobody may"),
        Exclusion(object="app.absent", reason="not in every project"),
    )
    assert _check(weak_source, known=known).excluded_tables == ()
    weak = _check(weak_source, _acting_as(_ROLE), known=known)
    assert ("app", "orders") in weak.excluded_tables
    assert Exclusion(object="app.orders", reason="nobody may") in weak.excluded


def test_role_that_cannot_be_taken_is_refused(weak_source: DatabaseAddress) -> None:
    with pytest.raises(SourceRefused, match="cannot become the dump role no such role"):
        _check(weak_source, _acting_as("no such role"))


def test_emptied_table_with_many_estimated_rows_is_a_warning(database: DatabaseAddress) -> None:
    run_sql(database, "CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 5000); ANALYZE t")
    run_sql(database, "CREATE TABLE full_ (a int); INSERT INTO full_ SELECT generate_series(1, 5000); ANALYZE full_")
    run_sql(database, "DELETE FROM public.t")
    found = [(finding.check, finding.object, finding.severity) for finding in _check(database).findings]
    assert found == [("empty-table", "public.t", Severity.WARNING)]


def test_empty_source_is_a_warning(database: DatabaseAddress) -> None:
    assert [finding.check for finding in _check(database).findings] == ["empty-source"]


def test_held_exclusive_lock_is_a_warning_and_does_not_make_preflight_wait(database: DatabaseAddress) -> None:
    run_sql(database, "CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 5000); ANALYZE t")
    with database.connect(autocommit=False) as holder:
        holder.execute("LOCK TABLE public.t IN ACCESS EXCLUSIVE MODE")
        found: list[Preflight] = []
        asking = threading.Thread(target=lambda: found.append(_check(database)))
        asking.start()
        asking.join(timeout=30)
        assert not asking.is_alive(), "preflight waits for the lock"
        holder.rollback()
    assert [(finding.check, finding.object) for finding in found[0].findings] == [("table-locked", "public.t")]
    assert found[0].estimated_bytes > 0


def test_older_client_is_an_error(database: DatabaseAddress) -> None:
    preflight = check_source(database, Source(name="app"), client_major=12)
    assert "client-version" in {finding.check for finding in preflight.errors}


def test_subscriptions_are_noted_where_no_superuser_dumps(postgres_server: PostgresServer) -> None:
    address = postgres_server.new_database()
    run_sql(address, "CREATE TABLE t (a int)")
    run_sql(
        address,
        "CREATE SUBSCRIPTION sub CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE)",
    )
    run_sql(address, "CREATE ROLE sub_reader; GRANT SELECT ON ALL TABLES IN SCHEMA public TO sub_reader")
    weak = _check(address, _acting_as("sub_reader"))
    strong = _check(address)
    run_sql(address, "DROP SUBSCRIPTION sub; DROP OWNED BY sub_reader")
    postgres_server.drop_database(address)
    run_sql(postgres_server.address, "DROP ROLE sub_reader")
    assert [finding.check for finding in weak.findings] == ["subscription"]
    assert [item.object for item in weak.excluded] == ["subscription sub"]
    assert strong.findings == ()


def test_pooler_port_is_refused_without_a_connection() -> None:
    nowhere = DatabaseAddress({"host": "203.0.113.1", "port": "6543", "dbname": "postgres", "user": "postgres.abc"})
    (finding,) = _check(nowhere).findings
    assert (finding.check, finding.severity) == ("pooler", Severity.ERROR)
    assert finding.message == "the connection of app goes through a pooler in transaction mode, which port 6543 is for"
    assert "5432" in finding.hint
    assert "another port" in finding.hint


def test_transaction_pooler_on_any_port_is_refused(postgres_server: PostgresServer, database: DatabaseAddress) -> None:
    run_sql(database, "CREATE TABLE t (a int)")
    server = postgres_server.socket_address.with_database(database.database)
    with TransactionPooler(server) as pooler:
        (finding,) = _check(pooler.address(database)).findings
    assert (finding.check, finding.severity) == ("pooler", Severity.ERROR)
    assert "process changed" in finding.message
    assert _check(database).findings == (), "a direct connection is none"


def test_source_that_passes_is_dumped_without_complaint(postgres_server_of: ServerWith) -> None:
    server = postgres_server_of(17, ("file_fdw",))
    address = server.new_database()
    run_sql(address, _SCHEMA)
    assert _check(address).errors == ()
    server.drop_database(copy_by_dump(server, address))
    server.drop_database(address)

"""What is read of a source: server, tables, columns in the dump's order, sequences, extensions, roles, settings."""

import pytest

from shared.errors import SourceChanged
from shared.postgres.connection import DatabaseAddress
from shared.postgres.facts import (
    TableFacts,
    read_extensions,
    read_large_object_count,
    read_sequences,
    read_server_facts,
    read_tables,
)
from shared.postgres.roles import read_roles_sql, read_settings_sql
from shared.postgres.row_counts import read_row_counts
from shared.postgres.snapshot import open_snapshot
from tests.support.copies import NASTY_SCHEMA, ServerWith, copy_columns_of_dump
from tests.support.postgres_servers import CorpusDatabase, PostgresServer, run_file, run_sql

_MAJORS = (14, 15, 17, 18)


def _tables(address: DatabaseAddress) -> dict[str, TableFacts]:
    with address.connect(read_only=True) as connection:
        return {table.full_name: table for table in read_tables(connection)}


@pytest.mark.parametrize("major", _MAJORS)
def test_tables_and_columns_are_those_of_the_dump(postgres_server_of: ServerWith, major: int) -> None:
    server = postgres_server_of(major, ("pgcrypto", "file_fdw"))
    address = server.new_database()
    run_file(server.toolset, address, NASTY_SCHEMA)
    expected = copy_columns_of_dump(server, address)
    tables = _tables(address)
    server.drop_database(address)
    found = {(table.schema, table.name): table.columns for table in tables.values() if table.has_dumped_rows}
    assert found == expected
    assert tables["e.types"].columns[:4] == ("id", "by_default", "serial_", "at"), "generated columns are left out"
    assert tables["e.none"].columns == ()
    assert tables["e.many_dropped"].columns == ("b", "d", "e_", "a")
    assert tables["e.log_3a"].partition_root == "e.log"
    assert tables["e.child2"].partition_root == "", "plain inheritance is no partitioning"
    assert {name for name, table in tables.items() if table.relkind == "f"} == {"e.far", "e.file_"}
    assert {name for name, table in tables.items() if table.persistence == "u"} == {"e.quick"}


def test_extension_tables_are_left_out_unless_they_are_configuration(database: DatabaseAddress) -> None:
    run_sql(
        database,
        """CREATE SCHEMA x; CREATE EXTENSION pgcrypto WITH SCHEMA x;
        CREATE TABLE x.inner_table (a int); ALTER EXTENSION pgcrypto ADD TABLE x.inner_table;
        CREATE TABLE x.settings (a int, own bool); ALTER EXTENSION pgcrypto ADD TABLE x.settings;
        UPDATE pg_extension SET extconfig = ARRAY['x.settings'::regclass::oid], extcondition = ARRAY['WHERE own']
        WHERE extname = 'pgcrypto'""",
    )
    tables = _tables(database)
    assert list(tables) == ["x.settings"]
    assert (tables["x.settings"].extension, tables["x.settings"].extension_condition) == ("pgcrypto", "WHERE own")


@pytest.mark.parametrize("major", _MAJORS)
def test_sequences_are_read_in_batches_with_hostile_names(postgres_server_of: ServerWith, major: int) -> None:
    server = postgres_server_of(major)
    address = server.new_database()
    run_sql(
        address,
        """DO $$ BEGIN FOR i IN 1..450 LOOP EXECUTE format('CREATE SEQUENCE %I', 's ''"\\%' || i || chr(10));
        END LOOP; END $$; SELECT setval(oid::regclass, 7, false) FROM pg_class WHERE relkind = 'S'
        AND relname = 's ''"\\%100' || chr(10)""",
    )
    run_sql(address, "CREATE SEQUENCE down INCREMENT -1; SELECT nextval('public.down'), nextval('public.down')")
    with address.connect(read_only=True) as connection:
        found = {sequence.name: sequence for sequence in read_sequences(connection)}
    server.drop_database(address)
    assert len(found) == 451
    assert (found["down"].last_value, found["down"].is_called) == (-2, True)
    odd = found["s '\"\\%100\n"]
    assert (odd.last_value, odd.is_called) == (7, False)
    assert {(item.last_value, item.is_called) for item in found.values()} == {(1, False), (7, False), (-2, True)}


@pytest.mark.parametrize("major", [15, 18])
def test_sequence_that_may_not_be_read_has_no_value(postgres_server_of: ServerWith, major: int) -> None:
    server = postgres_server_of(major)
    address = server.new_database()
    run_sql(address, "CREATE SEQUENCE s; CREATE ROLE seq_reader")
    with address.connect(read_only=True) as connection:
        connection.execute("SET ROLE seq_reader")
        (sequence,) = read_sequences(connection)
    server.drop_database(address)
    run_sql(server.address, "DROP ROLE seq_reader")
    assert sequence.last_value is None


def test_sequence_dropped_meanwhile_is_a_retryable_change(postgres_server_of: ServerWith) -> None:
    server = postgres_server_of(17)
    address = server.new_database()
    run_sql(address, "CREATE SEQUENCE s")
    with open_snapshot(address) as snapshot:
        run_sql(address, "DROP SEQUENCE public.s")
        with pytest.raises(SourceChanged, match=r"the sequence public\.s was dropped meanwhile") as caught:
            read_sequences(snapshot.connection)
    server.drop_database(address)
    assert caught.value.retryable


def test_server_facts_tell_encoding_locale_and_icu(postgres_server: PostgresServer, database: DatabaseAddress) -> None:
    with database.connect(read_only=True) as connection:
        facts = read_server_facts(connection)
    assert facts.major == postgres_server.major
    assert facts.server_version.startswith(f"{postgres_server.major}.")
    assert (facts.database, facts.encoding) == (database.database, "UTF8")
    assert facts.locale_provider in {"libc", "builtin"}
    assert not facts.icu_in_use


def test_extensions_and_large_objects_are_counted(corpus_database: CorpusDatabase) -> None:
    address = corpus_database("supabase_like")
    run_sql(address, "SELECT lo_create(0), lo_create(0)")
    with address.connect(read_only=True) as connection:
        extensions = {extension.name: extension.schema for extension in read_extensions(connection)}
        count = read_large_object_count(connection)
    assert extensions["pgcrypto"] == "extensions"
    assert count >= 2


# -- roles and settings -----------------------------------------------------------------------------------------------

_ODD = 'odd $goldcopy$ "role" %I\n\\x'
_ODD_SQL = '"odd $goldcopy$ ""role"" %I\n\\x"'
_ROLES = f"""
CREATE ROLE {_ODD_SQL} LOGIN PASSWORD 'geheim' NOINHERIT CREATEDB BYPASSRLS CONNECTION LIMIT 5 VALID UNTIL '2030-01-01';
CREATE ROLE roles_plain; CREATE ROLE roles_group ADMIN roles_plain;
GRANT roles_plain TO {_ODD_SQL} WITH ADMIN OPTION; GRANT pg_read_all_stats TO roles_plain;
COMMENT ON ROLE {_ODD_SQL} IS 'it''s % $goldcopy$ \\';
ALTER ROLE {_ODD_SQL} SET search_path TO "$user", 'a b', public; ALTER ROLE {_ODD_SQL} SET app.setting TO 'v''\\a,"b"';
"""
_NAMES = (_ODD, "roles_group", "roles_plain")
_SHOW_ROLES = """
SELECT r.rolname, r.rolinherit, r.rolbypassrls, r.rolcreatedb, r.rolconnlimit, r.rolvaliduntil, s.setconfig,
    shobj_description(r.oid, 'pg_authid'),
    ARRAY(SELECT m.roleid::regrole::text || m.admin_option FROM pg_auth_members m WHERE m.member = r.oid ORDER BY 1)
FROM pg_roles r LEFT JOIN pg_db_role_setting s ON s.setrole = r.oid AND s.setdatabase = 0
WHERE r.rolname ~ '^(odd|roles_)' ORDER BY 1
"""
_DROP_ROLES = f"DROP ROLE roles_group, roles_plain, {_ODD_SQL}"


@pytest.mark.parametrize(("source_major", "target_major"), [(15, 15), (17, 17), (18, 18), (18, 15), (14, 18)])
def test_roles_come_back_without_password_and_login(
    postgres_server_of: ServerWith, source_major: int, target_major: int
) -> None:
    source, target = postgres_server_of(source_major), postgres_server_of(target_major)
    run_sql(source.address, _ROLES)
    expected = run_sql(source.address, _SHOW_ROLES)
    with source.address.connect(read_only=True) as connection:
        names, script = read_roles_sql(connection)
    run_sql(source.address, _DROP_ROLES)
    assert set(_NAMES) <= set(names)
    assert not any(name.startswith("pg_") for name in names)
    assert "geheim" not in script
    assert "SCRAM" not in script
    run_sql(target.address, script)
    found = run_sql(target.address, _SHOW_ROLES)
    can_log_in = run_sql(target.address, "SELECT bool_or(rolcanlogin) FROM pg_roles WHERE rolname ~ '^(odd|roles_)'")
    run_sql(target.address, script)
    again = run_sql(target.address, _SHOW_ROLES)
    run_sql(target.address, _DROP_ROLES)
    assert found == expected
    assert can_log_in == [(False,)]
    assert again == found, "running it twice changes nothing"


def test_existing_role_is_left_as_it_is(postgres_server: PostgresServer) -> None:
    run_sql(postgres_server.address, "CREATE ROLE kept_role CREATEDB; ALTER ROLE kept_role SET work_mem = '5MB'")
    with postgres_server.address.connect(read_only=True) as connection:
        _names, script = read_roles_sql(connection)
    run_sql(postgres_server.address, "ALTER ROLE kept_role NOCREATEDB LOGIN; ALTER ROLE kept_role SET work_mem = '6MB'")
    run_sql(postgres_server.address, script)
    found = run_sql(
        postgres_server.address,
        "SELECT rolcreatedb, rolcanlogin, rolconfig FROM pg_roles WHERE rolname = 'kept_role'",
    )
    run_sql(postgres_server.address, "DROP ROLE kept_role")
    assert found == [(False, True, ["work_mem=6MB"])]


def test_database_settings_come_back_in_a_database_of_another_name(postgres_server: PostgresServer) -> None:
    source, target = postgres_server.new_database("settings %I \"'source"), postgres_server.new_database()
    name = '"settings %I ""\'source"'
    run_sql(postgres_server.address, f"CREATE ROLE {_ODD_SQL}")
    run_sql(
        postgres_server.address,
        f"""ALTER DATABASE {name} SET search_path TO app, "odd, name"; ALTER DATABASE {name} SET work_mem = '7MB';
        ALTER DATABASE {name} SET app.key TO 'a''\\%I$goldcopy$'; ALTER DATABASE {name} CONNECTION LIMIT 9;
        ALTER ROLE {_ODD_SQL} IN DATABASE {name} SET statement_timeout = '3s';
        ALTER DATABASE {name} OWNER TO {_ODD_SQL}; REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC;
        GRANT CREATE ON DATABASE {name} TO pg_monitor WITH GRANT OPTION;
        COMMENT ON DATABASE {name} IS 'it''s %I'""",
    )
    with source.connect(read_only=True) as connection:
        expected = read_settings_sql(connection)
    run_sql(target, expected)
    with target.connect(read_only=True) as connection:
        found = read_settings_sql(connection)
    postgres_server.drop_database(source)
    postgres_server.drop_database(target)
    run_sql(postgres_server.address, f"DROP ROLE {_ODD_SQL}")
    assert found == expected
    assert "7MB" in found
    assert "settings %I" not in found


def test_rows_are_counted_in_the_snapshot_but_for_tables_that_were_emptied_since(database: DatabaseAddress) -> None:
    run_sql(
        database,
        "CREATE TABLE kept AS SELECT generate_series(1, 9); CREATE TABLE emptied AS SELECT generate_series(1, 5);"
        "CREATE TABLE refilled AS SELECT generate_series(1, 5)",
    )
    with open_snapshot(database) as snapshot:
        tables = read_tables(snapshot.connection)
        run_sql(
            database,
            "INSERT INTO kept VALUES (10); TRUNCATE emptied; "
            "BEGIN; TRUNCATE refilled; INSERT INTO refilled VALUES (1); COMMIT",
        )
        counts = read_row_counts(snapshot.connection, tables)
    names = {table.oid: table.name for table in tables}
    assert {names[oid]: count for oid, count in counts.items()} == {"kept": 9}

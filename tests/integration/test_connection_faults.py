"""Connections to real servers: fixed settings, every way to fail, and child programs that reach the same database."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from shared.domain.manifest import ServerFacts
from shared.errors import GoldcopyError, SourceProblem, SourceRefused, SourceUnreachable
from shared.postgres.connection import DatabaseAddress
from shared.postgres.connection_errors import explain_connection_failure
from shared.postgres.process import run_program
from shared.postgres.scratch import ScratchServer, create_database, start_scratch
from shared.postgres.tools import Toolset
from tests.support.postgres_servers import PASSWORD, SERVERS_FOLDER, PostgresServer, run_sql
from tests.support.tcp_proxy import TcpProxy

ODD_PASSWORD = " p@ss/w%rd#'\"\\ "


@pytest.fixture(scope="module")
def own_server(postgres_server: PostgresServer) -> Iterator[ScratchServer]:
    """A server whose access rules and TLS a test may change."""
    with start_scratch(postgres_server.toolset, SERVERS_FOLDER, tcp_password=PASSWORD) as server:
        yield server


def with_parameters(address: DatabaseAddress, **parameters: str) -> DatabaseAddress:
    return DatabaseAddress({**address.parameters, **parameters})


def refusal(address: DatabaseAddress, kind: type[SourceProblem]) -> str:
    """Connect in vain and return the message, after the checks that hold for every failure."""
    with pytest.raises(kind) as caught:
        address.connect()
    error = caught.value
    assert type(error) is kind
    assert address.label in error.message
    assert error.hint
    for secret in (PASSWORD, address.parameters.get("password", PASSWORD)):
        assert secret not in str(error)
    assert error.__suppress_context__, "psycopg's own error may quote parameters"
    return error.message


def psql(toolset: Toolset, address: DatabaseAddress, statement: str) -> str:
    with address.child_environment() as environment:
        result = run_program(
            [toolset.program("psql"), "-X", "-A", "-t", "-q", "-d", "service=goldcopy", "-c", statement],
            environment=environment,
            timeout_seconds=30,
        )
    assert result.exit_code == 0, result.stderr_tail
    return result.stdout.decode().strip()


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_a_wrong_password_is_refused(database: DatabaseAddress) -> None:
    assert "refused the password" in refusal(with_parameters(database, password="tr0ub4dor&3"), SourceRefused)


def test_a_missing_password_is_told_apart_from_a_wrong_one(database: DatabaseAddress) -> None:
    parameters = {name: value for name, value in database.parameters.items() if name != "password"}
    assert "none was given" in refusal(DatabaseAddress(parameters), SourceRefused)


def test_an_unknown_database_is_refused(database: DatabaseAddress) -> None:
    assert "no such database" in refusal(database.with_database("shopp"), SourceRefused)


def test_an_unknown_role_is_refused_like_a_wrong_password(database: DatabaseAddress) -> None:
    # With SCRAM a server does not tell strangers which roles it has.
    assert "refused the password" in refusal(with_parameters(database, user="stranger"), SourceRefused)


def test_a_role_that_may_not_log_in_is_refused(database: DatabaseAddress) -> None:
    run_sql(database, f"CREATE ROLE sleeper NOLOGIN PASSWORD '{PASSWORD}'")
    try:
        assert "may not log in" in refusal(with_parameters(database, user="sleeper"), SourceRefused)
    finally:
        run_sql(database, "DROP ROLE sleeper")


def test_a_full_role_is_retryable(database: DatabaseAddress) -> None:
    run_sql(database, f"CREATE ROLE single LOGIN CONNECTION LIMIT 1 PASSWORD '{PASSWORD}'")
    try:
        address = with_parameters(database, user="single")
        with address.connect():
            assert "no free connection" in refusal(address, SourceUnreachable)
        address.connect().close()
    finally:
        run_sql(database, "DROP ROLE single")


def test_a_port_where_nobody_listens_is_unreachable(database: DatabaseAddress) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    assert "nothing accepts" in refusal(with_parameters(database, port=port), SourceUnreachable)


def test_a_socket_that_does_not_exist_is_unreachable(tmp_path: Path) -> None:
    address = DatabaseAddress({"host": str(tmp_path), "dbname": "shop", "user": "app"})
    assert "nothing accepts" in refusal(address, SourceUnreachable)


def test_an_unknown_host_is_unreachable() -> None:
    address = DatabaseAddress({"host": "nowhere.invalid", "dbname": "shop", "user": "app"})
    assert "host name is not known" in refusal(address, SourceUnreachable)


def test_a_server_that_never_answers_times_out(database: DatabaseAddress) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        address = with_parameters(database, port=port, connect_timeout="2")
        assert "did not answer in time" in refusal(address, SourceUnreachable)


def test_a_server_without_tls_cannot_satisfy_sslmode_require(database: DatabaseAddress) -> None:
    assert "does not offer" in refusal(with_parameters(database, sslmode="require"), SourceRefused)


def test_access_rules_that_exclude_a_role_are_named(own_server: ScratchServer) -> None:
    run_sql(own_server.socket_address, f"CREATE ROLE outsider LOGIN PASSWORD '{PASSWORD}'")
    with access_rules(own_server, "host all postgres 127.0.0.1/32 scram-sha-256"):
        message = refusal(with_parameters(own_server.address, user="outsider"), SourceRefused)
    assert "access rules" in message or "encrypted connection" in message


# -- TLS ---------------------------------------------------------------------------------------------------------------


class access_rules:  # noqa: N801  (reads as a verb where it is used)
    """Replace pg_hba.conf of a server of our own for a while."""

    def __init__(self, server: ScratchServer, *lines: str) -> None:
        self._server = server
        self._lines = lines

    def __enter__(self) -> None:
        self._write("local all all peer map=owner", *self._lines)

    def __exit__(self, *_: object) -> None:
        self._write("local all all peer map=owner", "host all all 127.0.0.1/32 scram-sha-256")

    def _write(self, *lines: str) -> None:
        values = sql.SQL(", ").join(sql.SQL("({})").format(sql.Literal(line)) for line in lines)
        with self._server.socket_address.connect() as connection:
            path = connection.execute("SHOW hba_file").fetchone()
            assert path
            connection.execute(sql.SQL("COPY (VALUES {}) TO {}").format(values, sql.Literal(path[0])))
            connection.execute("SELECT pg_reload_conf()")
            await_reload(connection, lines)


def await_reload(connection: "psycopg.Connection[tuple[object, ...]]", lines: tuple[str, ...]) -> None:
    """The postmaster rereads its files on a signal; every backend sees the time of it."""
    connection.execute("SELECT pg_sleep(0.2)")
    found = connection.execute("SELECT count(*) FROM pg_hba_file_rules WHERE error IS NULL").fetchone()
    assert found == (len(lines),)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory, own_server: ScratchServer) -> Path:
    """Switch TLS on at our server with a certificate for `localhost` and return the authority to trust."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not here to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    with own_server.socket_address.connect() as connection:
        data = connection.execute("SELECT current_setting('data_directory')").fetchone()
        assert data
        assert isinstance(data[0], str)
        owner = Path(data[0]).stat()
        for name, target in (("cert.pem", "server.crt"), ("key.pem", "server.key")):
            written = Path(data[0]) / target
            written.write_bytes((folder / name).read_bytes())
            written.chmod(0o600)
            os.chown(written, owner.st_uid, owner.st_gid)
        connection.execute("ALTER SYSTEM SET ssl = on")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("SELECT pg_sleep(0.2)")
    return folder / "cert.pem"


def test_a_verified_encrypted_connection_works_for_us_and_for_children(
    own_server: ScratchServer, certificate: Path
) -> None:
    address = with_parameters(
        own_server.address, host="localhost", hostaddr="127.0.0.1", sslmode="verify-full", sslrootcert=str(certificate)
    )
    encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert run_sql(address, encrypted) == [(True,)]
    assert psql(own_server.toolset, address, encrypted) == "t"


def test_a_certificate_nobody_vouches_for_is_refused(own_server: ScratchServer, certificate: Path) -> None:
    address = with_parameters(own_server.address, sslmode="verify-full", sslrootcert="/nowhere/ca.pem")
    assert "encrypted connection could not be established" in refusal(address, SourceRefused)
    address = with_parameters(address, sslrootcert=str(certificate))  # names localhost, not 127.0.0.1
    assert "encrypted connection could not be established" in refusal(address, SourceRefused)


def test_a_server_that_insists_on_tls_says_so(own_server: ScratchServer, certificate: Path) -> None:
    with access_rules(own_server, "hostssl all all 127.0.0.1/32 scram-sha-256"):
        message = refusal(with_parameters(own_server.address, sslmode="disable"), SourceRefused)
        own_server.address.connect().close()
    assert "wants an encrypted connection" in message


# -- what is fixed -----------------------------------------------------------------------------------------------------


def test_settings_of_the_database_and_role_do_not_change_what_we_read(database: DatabaseAddress) -> None:
    hostile = {
        "bytea_output": "escape",
        "DateStyle": "German",
        "IntervalStyle": "iso_8601",
        "TimeZone": "Asia/Tokyo",
        "extra_float_digits": "0",
        "search_path": "evil",
        "statement_timeout": "1ms",
        "lock_timeout": "1ms",
        "idle_in_transaction_session_timeout": "1ms",
        "row_security": "on",
        "xmloption": "document",
    }
    for name, value in hostile.items():
        run_sql(database, f"ALTER DATABASE {database.database} SET {name} = '{value}'")
    with database.connect() as connection:
        connection.execute("SELECT pg_sleep(0.05)")  # longer than the timeouts
        seen = {name: str(connection.execute(f"SHOW {name}").fetchone()[0]) for name in hostile}  # type: ignore[index]
    assert seen == {
        "bytea_output": "hex",
        "DateStyle": "ISO, DMY",
        "IntervalStyle": "postgres",
        "TimeZone": "UTC",
        "extra_float_digits": "3",
        "search_path": "",
        "statement_timeout": "0",
        "lock_timeout": "1min",
        "idle_in_transaction_session_timeout": "0",
        "row_security": "off",
        "xmloption": "content",
    }


def test_functions_of_the_source_cannot_stand_in_for_those_we_call(database: DatabaseAddress) -> None:
    run_sql(
        database,
        "CREATE SCHEMA evil; CREATE TABLE evil.calls(n int); "
        "CREATE FUNCTION evil.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS "
        "'INSERT INTO evil.calls VALUES (1); SELECT $2'; "
        f"ALTER DATABASE {database.database} SET search_path = evil, pg_catalog",
    )
    database.connect().close()
    assert run_sql(database, "SELECT count(*) FROM evil.calls") == [(0,)]


def test_a_read_only_connection_refuses_writes(database: DatabaseAddress) -> None:
    with database.connect(read_only=True) as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("CREATE TABLE t ()")
    with (
        database.connect(read_only=True, autocommit=False) as connection,
        pytest.raises(psycopg.errors.ReadOnlySqlTransaction),
    ):
        connection.execute("CREATE TABLE t ()")


def test_a_lock_is_waited_for_as_long_as_asked(database: DatabaseAddress) -> None:
    run_sql(database, "CREATE TABLE t ()")
    with (
        database.connect(autocommit=False) as holder,
        database.connect(autocommit=False, lock_timeout_seconds=0.05) as waiting,
    ):
        holder.execute("LOCK TABLE public.t")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            waiting.execute("LOCK TABLE public.t")


def test_notices_are_not_shown(database: DatabaseAddress, capfd: pytest.CaptureFixture[str]) -> None:
    run_sql(database, "DO $$ BEGIN RAISE NOTICE 'noise'; RAISE WARNING 'more'; END $$")
    assert capfd.readouterr() == ("", "")


# -- children ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["shop ", " shop", "sh op=1", "it's", 'quo"te', "back\\slash", "größe", "#x", "[x]"])
def test_children_reach_databases_with_odd_names(postgres_server: PostgresServer, name: str) -> None:
    address = postgres_server.new_database(name)
    try:
        assert psql(postgres_server.toolset, address, "SELECT current_database()") == name.strip()
        assert psql(postgres_server.toolset, address, "SELECT length(current_database())") == str(len(name))
    finally:
        postgres_server.drop_database(address)


def test_children_log_in_with_passwords_that_have_odd_characters(postgres_server: PostgresServer) -> None:
    with postgres_server.address.connect() as connection:
        connection.execute(sql.SQL("CREATE ROLE odd LOGIN PASSWORD {}").format(sql.Literal(ODD_PASSWORD)))
    try:
        address = with_parameters(postgres_server.address, user="odd", password=ODD_PASSWORD)
        assert psql(postgres_server.toolset, address, "SELECT current_user") == "odd"
        assert run_sql(address, "SELECT current_user") == [("odd",)]
    finally:
        run_sql(postgres_server.address, "DROP ROLE odd")


def test_children_of_every_major_understand_the_service_file(
    database: DatabaseAddress, toolsets: tuple[Toolset, ...]
) -> None:
    for toolset in toolsets:
        assert psql(toolset, database, "SELECT 1") == "1"


def test_children_read_as_we_do_whatever_the_database_is_set_to(
    database: DatabaseAddress, postgres_server: PostgresServer
) -> None:
    run_sql(database, f"ALTER DATABASE {database.database} SET bytea_output = 'escape'")
    run_sql(database, f"ALTER DATABASE {database.database} SET TimeZone = 'Asia/Tokyo'")
    seen = psql(postgres_server.toolset, database, "SELECT '\\x00ff'::bytea, current_setting('TimeZone')")
    assert seen == "\\x00ff|UTC"


def test_children_speak_the_encoding_of_the_database(postgres_server: PostgresServer) -> None:
    facts = ServerFacts(
        server_version="", server_version_num=170000, database="latin", encoding="LATIN1", collate="C", ctype="C"
    )
    address, notes = create_database(postgres_server.address, "latin", server=facts)
    try:
        assert notes == ()
        assert psql(postgres_server.toolset, address, "SHOW client_encoding") == "LATIN1"
        assert run_sql(address, "SHOW client_encoding") == [("UTF8",)]
    finally:
        postgres_server.drop_database(address)


# -- the line ----------------------------------------------------------------------------------------------------------


def test_a_line_that_is_cut_while_reading_is_explained(
    database: DatabaseAddress, tcp_proxy: Callable[[DatabaseAddress], TcpProxy]
) -> None:
    proxy = tcp_proxy(database)
    with proxy.through(database).connect() as connection:
        proxy.cut_after(200_000)
        with pytest.raises(psycopg.OperationalError) as caught:
            connection.execute("SELECT repeat('x', 1000) FROM generate_series(1, 100000)").fetchall()
    explained = explain_connection_failure(caught.value, database.label, database.parameters)
    assert isinstance(explained, SourceUnreachable)
    assert "cut" in explained.message


def test_a_line_that_stalls_while_connecting_times_out(
    database: DatabaseAddress, tcp_proxy: Callable[[DatabaseAddress], TcpProxy]
) -> None:
    proxy = tcp_proxy(database)
    proxy.stall()
    with pytest.raises(SourceUnreachable, match="did not answer in time"):
        with_parameters(proxy.through(database), connect_timeout="2").connect()


def test_a_slow_line_still_works(database: DatabaseAddress, tcp_proxy: Callable[[DatabaseAddress], TcpProxy]) -> None:
    proxy = tcp_proxy(database)
    proxy.slow(200_000)
    assert run_sql(proxy.through(database), "SELECT length(repeat('x', 10))") == [(10,)]


def test_a_server_that_ends_a_session_is_explained(database: DatabaseAddress) -> None:
    with database.connect() as connection:
        pid = connection.info.backend_pid
        run_sql(database, f"SELECT pg_terminate_backend({pid}, 5000)")
        with pytest.raises(psycopg.OperationalError) as caught:
            connection.execute("SELECT 1")
    explained: GoldcopyError = explain_connection_failure(caught.value, database.label)
    assert explained.retryable

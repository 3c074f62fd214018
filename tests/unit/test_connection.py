import pickle
from pathlib import Path

import psycopg
import pytest

from shared.errors import ConfigInvalid, SourceProblem, SourceRefused, SourceUnreachable
from shared.postgres.connection import DatabaseAddress
from shared.postgres.connection_errors import explain_connection_failure

SECRET = "tr0ub4dor&3"
URL = "postgresql://app:tr0ub4dor&3@db.example.org:6432/shop?sslmode=require"


@pytest.fixture(autouse=True)
def no_pg_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGPASSWORD", "PGSSLMODE", "PGUSER", "PGDATABASE", "PGPORT"):
        monkeypatch.delenv(name, raising=False)


def test_a_url_becomes_libpq_parameters() -> None:
    address = DatabaseAddress.from_url(URL)
    assert dict(address.parameters) == {
        "user": "app",
        "password": SECRET,
        "host": "db.example.org",
        "port": "6432",
        "dbname": "shop",
        "sslmode": "require",
    }


def test_keyword_form_is_read_too() -> None:
    address = DatabaseAddress.from_url("host=/var/run/postgresql dbname='my shop' user=app")
    assert address.label == "my shop on /var/run/postgresql:5432 as app"


def test_a_drivers_name_in_the_scheme_is_ignored() -> None:
    assert DatabaseAddress.from_url("postgresql+psycopg://app@h/shop").label == "shop on h:5432 as app"


def test_percent_encoded_passwords_are_decoded() -> None:
    address = DatabaseAddress.from_url("postgresql://app:p%40ss%2Fw%25rd@h/shop")
    assert address.parameters["password"] == "p@ss/w%rd"


def test_the_label_names_every_host() -> None:
    assert DatabaseAddress.from_url("postgresql://app@a:1,b:2/shop").label == "shop on a:1, b:2 as app"


def test_nothing_that_prints_an_address_shows_the_password() -> None:
    address = DatabaseAddress.from_url(URL)
    printed = [repr(address), str(address), f"{address}", repr([address]), address.label, str({"a": address})]
    assert not any(SECRET in text for text in printed)


def test_addresses_survive_pickling() -> None:
    address = DatabaseAddress.from_url(URL)
    assert pickle.loads(pickle.dumps(address)) == address


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://app:tr0ub@dor@h/shop",  # @ of a password would end up in the host
        "postgresql://app:tr0ub/dor@h/shop",  # / of a password would end up in port and database
        "postgresql://app:12/tr0ub@h/shop",
        "postgresql://app:tr0ub%zzdor@h/shop",
        "host=h password=tr0ub tr0ub",
        "tr0ub",
        "mysql://app:tr0ub@h/shop",
        "postgresql://app:x@h:tr0ub/shop",
        "postgresql://app:x@h/shop?tr0ub=1",
    ],
)
def test_a_url_that_would_be_misread_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        DatabaseAddress.from_url(url)
    assert "tr0ub" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.hint


def test_special_characters_that_cannot_be_misread_are_taken_as_they_are() -> None:
    address = DatabaseAddress.from_url("postgresql://app:tr0ub?#[&=dor@h/shop")
    assert address.parameters["password"] == "tr0ub?#[&=dor"
    assert address.label == "shop on h:5432 as app"


def test_parameters_of_other_programs_are_named() -> None:
    with pytest.raises(ConfigInvalid, match="pgbouncer"):
        DatabaseAddress.from_url("postgresql://app@h:6543/shop?pgbouncer=true")


def test_services_are_refused() -> None:
    with pytest.raises(ConfigInvalid, match="service"):
        DatabaseAddress.from_url("service=shop")


def test_line_breaks_cannot_reach_the_service_file() -> None:
    with pytest.raises(ConfigInvalid, match="line break"):
        DatabaseAddress.from_url("postgresql://app@h/shop%0Ahost=evil")


def test_pg_variables_say_how_to_log_in_and_never_which_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", SECRET)
    monkeypatch.setenv("PGSSLMODE", "require")
    for name in ("PGHOST", "PGHOSTADDR", "PGDATABASE", "PGUSER"):
        monkeypatch.setenv(name, "other")
    monkeypatch.setenv("PGPORT", "6666")
    address = DatabaseAddress.from_url("postgresql://app@h")
    assert dict(address.parameters) == {
        "user": "app", "host": "h", "port": "5432", "dbname": "app", "password": SECRET, "sslmode": "require",
    }  # fmt: skip
    assert DatabaseAddress.from_url("postgresql:///shop").label.startswith("shop on local socket:5432 as ")


def test_a_system_user_without_a_name_is_no_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 4_000_000_000)
    with pytest.raises(ConfigInvalid, match="names no user"):
        DatabaseAddress.from_url("postgresql://h/shop")


@pytest.mark.parametrize("url", ["postgresql:///", "postgresql://h", "host=h", "postgresql://app@h/shop"])
def test_libpq_itself_finds_nothing_left_to_take_from_pg_variables(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Psycopg hands a connection string to libpq, which fills every keyword that is missing from the environment."""
    names = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGOPTIONS")
    for name in names:
        monkeypatch.setenv(name, "7777")
    asked: list[str] = []

    def connect(conninfo: str, **_more: object) -> None:
        asked.append(conninfo)
        raise psycopg.OperationalError("no server here")

    monkeypatch.setattr(psycopg, "connect", connect)
    with pytest.raises(SourceProblem):
        DatabaseAddress.from_url(url).connect()
    given = psycopg.conninfo.conninfo_to_dict(asked[0])
    assert {"host", "hostaddr", "port", "dbname", "user", "options"} <= given.keys()
    assert "7777" not in given.values()


def test_with_database_and_with_defaults_change_only_what_they_say() -> None:
    address = DatabaseAddress.from_url(URL)
    other = address.with_database("reports").with_defaults(sslmode="disable", connect_timeout="3")
    assert other.label == "reports on db.example.org:6432 as app"
    assert (other.parameters["sslmode"], other.parameters["connect_timeout"]) == ("require", "3")
    assert address.database == "shop"


def test_children_get_the_password_by_environment_and_the_rest_by_a_private_file() -> None:
    address = DatabaseAddress.from_url(URL).with_defaults(sslrootcert="/etc/ca.crt")
    with address.child_environment() as environment:
        file = Path(environment["PGSERVICEFILE"])
        text = file.read_text()
        assert file.stat().st_mode & 0o777 == 0o600
    assert not file.exists()
    assert environment["PGPASSWORD"] == SECRET
    assert SECRET not in text
    for line in ("[goldcopy]", "host=db.example.org", "sslmode=require", "sslrootcert=/etc/ca.crt", "dbname=shop"):
        assert line in text.splitlines()


def test_children_get_nothing_else_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("PGSERVICE", "elsewhere")
    monkeypatch.setenv("GOLDCOPY_CONFIG", "x")
    allowed = {"PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL"}
    allowed |= {"PGSERVICE", "PGSERVICEFILE", "PGPASSWORD", "PGOPTIONS", "PGTZ"}
    with DatabaseAddress.from_url(URL).child_environment() as environment:
        assert set(environment) <= allowed
        assert environment["PGSERVICE"] == "goldcopy"
        assert environment["LC_ALL"] == "C"


def test_names_with_trailing_blanks_do_not_go_through_the_file_that_strips_them() -> None:
    with DatabaseAddress({"host": "h", "dbname": "shop ", "user": " app"}).child_environment() as environment:
        text = Path(environment["PGSERVICEFILE"]).read_text()
    assert (environment["PGDATABASE"], environment["PGUSER"]) == ("shop ", " app")
    assert "dbname" not in text


def test_options_of_the_url_and_ours_are_joined() -> None:
    address = DatabaseAddress({"host": "h", "options": "reference=abc"})
    with address.child_environment() as environment:
        assert environment["PGOPTIONS"] == "reference=abc -c bytea_output=hex -c lc_monetary=C"
    with address.child_environment(settings={}) as environment:
        assert environment["PGOPTIONS"] == "reference=abc"


def test_children_speak_the_servers_encoding() -> None:
    with DatabaseAddress({"host": "h", "client_encoding": "UTF8"}).child_environment() as environment:
        assert "client_encoding" not in Path(environment["PGSERVICEFILE"]).read_text()


# Words of libpq 18, of servers 15 to 18, of PgBouncer and of Supavisor.
@pytest.mark.parametrize(
    ("said", "kind", "what"),
    [
        ('FATAL:  password authentication failed for user "app"', SourceRefused, "password"),
        ("fe_sendauth: no password supplied", SourceRefused, "none was given"),
        ("FATAL:  SCRAM exchange: Wrong password", SourceRefused, "password"),
        ('FATAL:  role "nobody_here" does not exist', SourceRefused, "role"),
        ("FATAL:  Tenant or user not found", SourceRefused, "role"),
        ('FATAL:  role "viewer" is not permitted to log in', SourceRefused, "may not log in"),
        ('FATAL:  database "shopp" does not exist', SourceRefused, "no such database"),
        ('FATAL:  database "role x" does not exist', SourceRefused, "no such database"),
        ('FATAL:  permission denied for database "shop"', SourceRefused, "may not connect"),
        ("failed to resolve host 'nowhere.invalid': Name or service not known", SourceUnreachable, "host name"),
        (
            'connection to server at "127.0.0.1", port 1 failed: Connection refused',
            SourceUnreachable,
            "nothing accepts",
        ),
        ("connection timeout expired", SourceUnreachable, "in time"),
        ("connection to server failed: Network is unreachable", SourceUnreachable, "no way"),
        ("FATAL:  sorry, too many clients already", SourceUnreachable, "no free connection"),
        ("FATAL:  remaining connection slots are reserved for roles", SourceUnreachable, "no free connection"),
        ('FATAL:  too many connections for role "app"', SourceUnreachable, "no free connection"),
        ("FATAL:  MaxClientsInSessionMode: max clients reached", SourceUnreachable, "pooler"),
        ("FATAL:  (EMAXCONNSESSION) max clients reached in session mode", SourceUnreachable, "pooler"),
        ("FATAL:  the database system is starting up", SourceUnreachable, "starting"),
        ("FATAL:  the database system is not yet accepting connections", SourceUnreachable, "starting"),
        ("FATAL:  the database system is shutting down", SourceUnreachable, "shutting"),
        (
            'FATAL:  no pg_hba.conf entry for host "1.2.3.4", user "a", database "b", no encryption',
            SourceRefused,
            "encr",
        ),
        (
            'FATAL:  no pg_hba.conf entry for host "1.2.3.4", user "a", database "b", SSL encryption',
            SourceRefused,
            "rules",
        ),
        ("server does not support SSL, but SSL was required", SourceRefused, "does not offer"),
        ('root certificate file "/x/root.crt" does not exist', SourceRefused, "encrypted"),
        ("SSL error: certificate verify failed", SourceRefused, "encrypted"),
        ("server closed the connection unexpectedly", SourceUnreachable, "cut"),
    ],
)
def test_failures_are_told_apart(said: str, kind: type[SourceProblem], what: str) -> None:
    error = explain_connection_failure(psycopg.OperationalError(f"connection failed: {said}"), "shop on h:5432 as app")
    assert type(error) is kind
    assert what in error.message
    assert error.message.startswith("cannot connect to shop on h:5432 as app: ")
    assert error.hint
    assert error.retryable is (kind is SourceUnreachable)


def test_a_password_that_the_server_repeats_is_hidden() -> None:
    error = psycopg.OperationalError(f"connection failed: strange words about {SECRET}")
    explained = explain_connection_failure(error, "shop", {"password": SECRET})
    assert SECRET not in str(explained)
    assert "strange words" in explained.message

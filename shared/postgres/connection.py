"""How to reach a database: parse, connect with fixed settings, hand it to child programs without showing a secret."""

import json
import os
import pwd
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg import abc, conninfo, pq
from psycopg.adapt import Loader

from shared.errors import ConfigInvalid
from shared.postgres.connection_errors import explain_connection_failure
from shared.postgres.owned_folders import owned_file
from shared.postgres.process import minimal_environment

_PORT = "5432"

SERVICE = "goldcopy"
"""Children connect to `service=goldcopy`; the service file is theirs alone."""

SERVICE_FILES = "goldcopy-*.conf"
"""Names of service files; no password is ever in one."""

CHILD_SETTINGS = {"bytea_output": "hex", "lc_monetary": "C"}
"""Settings that change COPY text and that pg_dump and pg_restore do not set themselves."""

_DEFAULTS = {
    "connect_timeout": "10",
    "application_name": "goldcopy",
    "gssencmode": "disable",  # the pooler of Supabase answers GSS negotiation in a way that libpq 15 takes for an error
    "keepalives_idle": "60",  # idle connections (the snapshot's) cross firewalls that forget after a few minutes
    "keepalives_interval": "10",
    "keepalives_count": "6",
}
_SETTINGS = {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
    "search_path": "",
    "row_security": "off",  # a filtered read is an error, never a smaller result
    "synchronize_seqscans": "off",
    "max_parallel_workers_per_gather": "0",
    "client_min_messages": "warning",
}
_TEXT_TYPES = ("text", "varchar", "bpchar", "name", '"char"')
_APPLY_SETTINGS = """
SELECT pg_catalog.set_config(name, value, false)
FROM pg_catalog.json_each_text(%s::pg_catalog.json) AS setting (name, value)
"""
_DECIDED_BY_URL = ("host", "hostaddr", "port", "dbname", "user", "options")
"""Which database is meant, and as whom: never left to variables that some shell happens to have."""

# An empty value is a value: libpq does not look at the environment for it. Our children have no PG* variables anyway.
_NOTHING_LEFT_OPEN = dict.fromkeys(_DECIDED_BY_URL, "") | {"port": _PORT}

_ENVIRONMENT_NAMES = {"user": "PGUSER", "dbname": "PGDATABASE", "host": "PGHOST", "application_name": "PGAPPNAME"}
_NOT_INHERITED = {"service", "servicefile", "application_name", "client_encoding", *_DECIDED_BY_URL}
_FOREIGN_PARAMETERS = re.compile(
    r"\"(pgbouncer|schema|connection_limit|pool_timeout|sslaccept|statement_cache_size|prepared_statements|ssl|"
    r"uselibpqcompat|supa|workaround|pool_size|timezone|currentSchema)\""
)
_URL_FORM = re.compile(r"(?i)(postgres(?:ql)?)(\+\w+)?://")


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """Where a database is and how to log in.

    Printing it in any way shows the label, never the password.

    Attributes:
        parameters: libpq's keywords (`host`, `port`, `dbname`, `user`, `password`, `sslmode` ...) and their values.
    """

    parameters: Mapping[str, str] = field(repr=False)

    @classmethod
    def from_url(cls, url: str) -> "DatabaseAddress":
        """Read `postgresql://...` or libpq's `keyword=value` form.

        It alone says which database is meant: where it leaves out the port that is 5432, and the database has the
        user's name. How to log in (password, TLS) may come from PG* variables.

        Raises:
            ConfigInvalid: It does not parse, or has a part that cannot be meant; the message never quotes it.
        """
        text = _URL_FORM.sub(lambda match: f"{match[1].lower()}://", url.strip(), count=1)
        try:
            parsed = conninfo.conninfo_to_dict(text)
        except psycopg.ProgrammingError as error:
            raise _unreadable(text, str(error)) from None  # the cause would quote parts of the password
        parameters = {name: str(value) for name, value in parsed.items() if value is not None}
        _refuse_misread(text, parameters)
        user = parameters.get("user") or _system_user()
        decided = {"user": user, "dbname": user, "port": _PORT}
        given = {name: value for name, value in parameters.items() if value or name not in decided}
        return cls(_environment_defaults() | decided | given)

    def __repr__(self) -> str:
        return f"DatabaseAddress({self.label!r})"

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """For people: `app on db.example.org:5432 as postgres`; never a secret."""
        return f"{self.database} on {self.endpoint} as {self.user}"

    @property
    def endpoint(self) -> str:
        """Host and port, or the folder of the socket."""
        hosts = (self.parameters.get("host") or self.parameters.get("hostaddr") or "local socket").split(",")
        ports = (self.parameters.get("port") or _PORT).split(",")
        ports = ports * len(hosts) if len(ports) == 1 else ports
        return ", ".join(f"{host}:{port or _PORT}" for host, port in zip(hosts, ports, strict=False))

    @property
    def database(self) -> str:
        """The database's name; libpq's default is the user's."""
        return self.parameters.get("dbname") or self.user

    @property
    def user(self) -> str:
        """The role that logs in; libpq's default is the operating system's user."""
        return self.parameters.get("user") or "the system's user"

    def with_database(self, name: str) -> "DatabaseAddress":
        """Return the address of another database of the same server."""
        return DatabaseAddress({**self.parameters, "dbname": name})

    def with_defaults(self, **parameters: str) -> "DatabaseAddress":
        """Return the address with `parameters` added where it says nothing of its own."""
        return DatabaseAddress({**parameters, **self.parameters})

    def connect(
        self, *, autocommit: bool = True, read_only: bool = False, lock_timeout_seconds: float = 60
    ) -> "psycopg.Connection[tuple[object, ...]]":
        """Connect, and fix every setting that changes what is read.

        Args:
            autocommit: Whether each statement is a transaction of its own.
            read_only: Whether the server must refuse writes in this session.
            lock_timeout_seconds: How long a statement waits for a lock; 0 for ever.

        Raises:
            SourceUnreachable: Network, name, a server that is down, starting, or has no free connection; may pass.
            SourceRefused: Password, role, database, TLS: a person has to change something.
        """
        settings = dict(_SETTINGS, lock_timeout=str(int(lock_timeout_seconds * 1000)))
        if read_only:
            settings["default_transaction_read_only"] = "on"
        try:
            # Prepared statements do not survive poolers, and nothing here is run often enough to profit.
            connection = psycopg.connect(
                conninfo.make_conninfo("", **_NOTHING_LEFT_OPEN | self._libpq() | {"client_encoding": "UTF8"}),
                autocommit=True,
                prepare_threshold=None,
            )
            try:
                if connection.info.server_version >= 170000:
                    settings["transaction_timeout"] = "0"
                if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
                    settings["client_encoding"] = "SQL_ASCII"
                    _read_any_bytes_as_text(connection)
                connection.execute(_APPLY_SETTINGS, (json.dumps(settings),))
                connection.autocommit = autocommit
                connection.read_only = read_only or None
            except BaseException:
                connection.close()
                raise
        except psycopg.Error as error:
            raise explain_connection_failure(error, self.label, self.parameters) from None
        return connection

    @contextmanager
    def child_environment(
        self, *, settings: Mapping[str, str] | None = None, encoding: str = ""
    ) -> Iterator[dict[str, str]]:
        """Lend the environment with which psql, pg_dump or pg_restore reach this database as `service=goldcopy`.

        Args:
            settings: Server settings of the child's session, `CHILD_SETTINGS` when None.
            encoding: The database's own encoding, so that nothing is converted on the way whatever `client_encoding`
                the database or the role is set to; empty for a child that says it itself.

        Yields:
            The child's whole environment; the service file in it exists, readable by us alone, until the context ends.
        """
        parameters = self._libpq()
        password = parameters.pop("password", "")
        parameters.pop("client_encoding", None)
        given = CHILD_SETTINGS if settings is None else settings
        options = " ".join([parameters.pop("options", ""), *(f"-c {name}={value}" for name, value in given.items())])
        environment = minimal_environment(PGTZ="UTC", PGSERVICE=SERVICE)
        if password:
            environment["PGPASSWORD"] = password  # a service file would strip blanks at its end
        if options.strip():
            environment["PGOPTIONS"] = options.strip()
        if encoding:
            environment["PGCLIENTENCODING"] = encoding
        lines = [f"[{SERVICE}]"]
        for name, value in parameters.items():
            if name in _ENVIRONMENT_NAMES and value != value.strip():
                environment[_ENVIRONMENT_NAMES[name]] = value
            else:
                lines.append(f"{name}={value}")
        with owned_file(SERVICE_FILES, "\n".join(lines) + "\n") as path:
            yield environment | {"PGSERVICEFILE": str(path)}

    def _libpq(self) -> dict[str, str]:
        return {**_DEFAULTS, **self.parameters}


def _read_any_bytes_as_text(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    """A SQL_ASCII database holds bytes of any encoding: take them as UTF-8, and those that are not as escapes."""
    for name in _TEXT_TYPES:
        connection.adapters.register_loader(name, _AnyText)


class _AnyText(Loader):
    def load(self, data: abc.Buffer) -> str:
        return bytes(data).decode("utf-8", "surrogateescape")


def _system_user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise ConfigInvalid(
            "the database URL names no user, and the system's user here has no name",
            hint="Write postgresql://USER@HOST/DATABASE.",
        ) from None


def _environment_defaults() -> dict[str, str]:
    """What libpq would take from PG* variables, made explicit, so that our own sessions and our children agree."""
    found = {}
    for option in pq.Conninfo.get_defaults():
        name = option.keyword.decode()
        if option.envvar and option.val is not None and option.val != option.compiled and name not in _NOT_INHERITED:
            found[name] = option.val.decode("utf-8", "replace")
    return found


def _unreadable(text: str, reason: str) -> ConfigInvalid:
    if foreign := _FOREIGN_PARAMETERS.search(reason):
        return ConfigInvalid(
            f"the database URL has a parameter that Postgres does not know: {foreign[1]}",
            hint="Remove it: it belongs to another program's connection settings.",
        )
    if not _URL_FORM.match(text) and "://" in text:
        return ConfigInvalid("the database URL does not begin with postgresql://", hint="Write postgresql://USER@HOST.")
    return ConfigInvalid(
        "the database URL cannot be read",
        hint="Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE with special characters of the password "
        "percent-encoded (@ as %40, / as %2F, % as %25, # as %23).",
    )


def _refuse_misread(text: str, parameters: Mapping[str, str]) -> None:
    """Refuse what parses only because a password is not encoded: its rest would show up in a host or database name."""
    authority_and_path = _URL_FORM.sub("", text, count=1).split("?", 1)[0] if _URL_FORM.match(text) else ""
    ports = parameters.get("port", "")
    misread = (
        authority_and_path.count("@") > 1
        or "@" in authority_and_path.partition("/")[2]
        or not re.fullmatch(r"(\d{0,5})(,\d{0,5})*", ports)
    )
    if misread:
        raise _unreadable(text, "")
    if "service" in parameters:
        raise ConfigInvalid(
            "the database address names a service of a pg_service.conf file",
            hint="Write host, port, database and user into the URL instead.",
        )
    for name, value in parameters.items():
        if "\n" in value or "\r" in value:
            raise ConfigInvalid(f"the database address has a line break in {name}", hint="Remove the line break.")

"""What a database is that somebody wants to restore into: empty or not, the source or not, able or not."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import cast

import psycopg

from shared.errors import GoldcopyError
from shared.postgres.archive import TocEntry
from shared.postgres.connection import DatabaseAddress
from shared.postgres.readback import quoted

_Connection = psycopg.Connection[tuple[object, ...]]

# Members of extensions do not count: every managed service brings some.
_CONTENT = """
WITH members AS (SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'),
     places AS (SELECT oid, nspname FROM pg_catalog.pg_namespace
                WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
                  AND oid NOT IN (SELECT objid FROM members WHERE classid = 'pg_catalog.pg_namespace'::regclass))
SELECT * FROM (
    SELECT 'schema ' || nspname FROM places WHERE nspname <> 'public'
    UNION ALL
    SELECT 'relation ' || p.nspname || '.' || c.relname
    FROM pg_catalog.pg_class c JOIN places p ON p.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
      AND c.oid NOT IN (SELECT objid FROM members WHERE classid = 'pg_catalog.pg_class'::regclass)
    UNION ALL
    SELECT 'function ' || p.nspname || '.' || f.proname
    FROM pg_catalog.pg_proc f JOIN places p ON p.oid = f.pronamespace
    WHERE f.oid NOT IN (SELECT objid FROM members WHERE classid = 'pg_catalog.pg_proc'::regclass)
    UNION ALL
    SELECT 'type ' || p.nspname || '.' || t.typname FROM pg_catalog.pg_type t JOIN places p ON p.oid = t.typnamespace
    WHERE t.typtype IN ('e', 'd', 'r')
      AND t.oid NOT IN (SELECT objid FROM members WHERE classid = 'pg_catalog.pg_type'::regclass)
    UNION ALL
    SELECT 'large object ' || oid FROM pg_catalog.pg_largeobject_metadata
) AS content (name) LIMIT 5
"""
_FACTS = """
SELECT current_setting('server_version_num')::int, current_setting('server_version'),
       (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user), pg_catalog.pg_is_in_recovery(),
       pg_catalog.getdatabaseencoding()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A database to restore into.

    Attributes:
        version: The server's version.
        version_num: The same as a number, such as 170011.
        is_superuser: Whether the connecting role is one.
        is_standby: Whether the server is a read replica.
        encoding: Encoding of the database.
        content: A few things that it holds already; empty when it is empty.
        extensions: Names of the extensions that the server has or could load.
        roles: Names of the server's roles.
    """

    version: str
    version_num: int
    is_superuser: bool
    is_standby: bool
    encoding: str
    content: tuple[str, ...]
    extensions: frozenset[str]
    roles: frozenset[str]

    @property
    def major(self) -> int:
        """Major version."""
        return self.version_num // 10000


def read_destination(address: DatabaseAddress) -> Destination:
    """Look at a database.

    Raises:
        SourceProblem: It cannot be reached, or the login is refused.
    """
    with closing(address.connect(read_only=True)) as connection:
        row = connection.execute(_FACTS).fetchone()
        version_num, version, is_superuser, is_standby, encoding = row or (0, "", False, False, "")
        return Destination(
            version=str(version).split()[0],
            version_num=cast(int, version_num),
            is_superuser=bool(is_superuser),
            is_standby=bool(is_standby),
            encoding=str(encoding),
            content=_names(connection, _CONTENT),
            extensions=frozenset(_names(connection, "SELECT name FROM pg_catalog.pg_available_extensions")),
            roles=frozenset(_names(connection, "SELECT rolname FROM pg_catalog.pg_roles")),
        )


def is_same_database(one: DatabaseAddress, other: DatabaseAddress) -> bool:
    """Say whether two addresses lead to the same database, by what the servers say of themselves.

    A server that does not answer is compared by host, port and name: the source is often gone when it is restored.
    """
    try:
        return _fingerprint(one) == _fingerprint(other)
    except (GoldcopyError, psycopg.Error):
        return (one.endpoint, one.database) == (other.endpoint, other.database)


def _fingerprint(address: DatabaseAddress) -> tuple[object, ...] | None:
    """A clone has the identifier and the OIDs of its original, but did not start in the same microsecond."""
    with closing(address.connect(read_only=True)) as connection:
        return connection.execute(
            """
            SELECT pg_catalog.pg_postmaster_start_time(), d.oid, d.datname,
                   (SELECT system_identifier FROM pg_catalog.pg_control_system())
            FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
            """
        ).fetchone()


def roles_not_held(address: DatabaseAddress, roles: Iterable[str]) -> tuple[str, ...]:
    """Return those of the existing roles whose objects the connecting role may not give to them."""
    with closing(address.connect(read_only=True)) as connection:
        return _names(
            connection,
            "SELECT rolname FROM pg_catalog.pg_roles WHERE rolname = ANY (%s)"
            " AND NOT pg_catalog.pg_has_role(current_user, oid, 'MEMBER') ORDER BY 1",
            (list(roles),),
        )


def existing_entries(address: DatabaseAddress, entries: Iterable[TocEntry]) -> frozenset[int]:
    """Return the numbers of those entries whose object the database has already."""
    found = set()
    with closing(address.connect(read_only=True)) as connection:
        for entry in entries:
            question = _EXISTS.get(entry.description)
            if question is None:
                continue
            row = connection.execute(question.encode(), (_lookup_name(entry),)).fetchone()
            if row and row[0]:
                found.add(entry.dump_id)
    return frozenset(found)


_EXISTS = {
    "SCHEMA": "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = %s)",
    "EXTENSION": "SELECT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = %s)",
    "TYPE": "SELECT pg_catalog.to_regtype(%s) IS NOT NULL",
    "DOMAIN": "SELECT pg_catalog.to_regtype(%s) IS NOT NULL",
    "FUNCTION": "SELECT pg_catalog.to_regprocedure(%s) IS NOT NULL",
    "PROCEDURE": "SELECT pg_catalog.to_regprocedure(%s) IS NOT NULL",
    "AGGREGATE": "SELECT pg_catalog.to_regprocedure(%s) IS NOT NULL",
    "TABLE": "SELECT pg_catalog.to_regclass(%s) IS NOT NULL",
    "FOREIGN TABLE": "SELECT pg_catalog.to_regclass(%s) IS NOT NULL",
    "VIEW": "SELECT pg_catalog.to_regclass(%s) IS NOT NULL",
    "MATERIALIZED VIEW": "SELECT pg_catalog.to_regclass(%s) IS NOT NULL",
    "SEQUENCE": "SELECT pg_catalog.to_regclass(%s) IS NOT NULL",
    "COLLATION": "SELECT pg_catalog.to_regcollation(%s) IS NOT NULL",
}


def _lookup_name(entry: TocEntry) -> str:
    if entry.description in {"SCHEMA", "EXTENSION"}:
        return entry.tag
    schema = quoted(entry.schema, "UTF8")
    if entry.description in {"FUNCTION", "PROCEDURE", "AGGREGATE"}:
        name, bracket, arguments = entry.tag.partition("(")
        return f"{schema}.{quoted(name, 'UTF8')}{bracket}{arguments}"
    return f"{schema}.{quoted(entry.tag, 'UTF8')}"


def _names(connection: _Connection, query: str, parameters: tuple[object, ...] | None = None) -> tuple[str, ...]:
    return tuple(str(row[0]) for row in connection.execute(query.encode(), parameters).fetchall())

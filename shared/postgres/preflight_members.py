"""Tables that belong to an extension: pg_dump leaves their rows out, unless the extension says otherwise."""

from dataclasses import dataclass
from typing import Any

from psycopg import errors, sql

from shared.domain.manifest import Exclusion
from shared.domain.proof import Finding, Severity
from shared.postgres.facts import Connection
from shared.postgres.names import Name

_LOOK_SECONDS = 5
_MEMBERS = """
SELECT n.nspname, c.relname, e.extname
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
WHERE c.relkind = 'r' AND NOT c.oid = ANY(coalesce(e.extconfig, '{}'))
ORDER BY n.nspname, c.relname
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberTable:
    """A table with rows that belongs to an extension and is not dumped."""

    full_name: str
    extension: str

    def exclusion(self) -> Exclusion:
        """Return what the manifest says of it."""
        return Exclusion(
            object=f"rows of {self.full_name}",
            reason=f"belongs to the extension {self.extension}, which does not mark its rows for dumps",
        )

    def finding(self) -> Finding:
        """Return what preflight says of it."""
        return Finding(
            check="extension-table",
            severity=Severity.WARNING,
            object=self.full_name,
            message=f"{self.full_name} belongs to the extension {self.extension}: its rows are not in the backup",
            hint="Where its rows are yours, take it out of the extension: ALTER EXTENSION ... DROP TABLE ...",
        )


def read_member_tables(connection: Connection) -> tuple[MemberTable, ...]:
    """Find tables of extensions that hold rows which no dump takes along.

    A table that this role may not read, or that is locked, counts as one with rows: nothing is left out unsaid.
    """
    rows: list[tuple[Any, ...]] = connection.execute(_MEMBERS.encode()).fetchall()
    return tuple(
        MemberTable(full_name=f"{schema}.{name}", extension=extension)
        for schema, name, extension in rows
        if _may_have_rows(connection, schema, name)
    )


def _may_have_rows(connection: Connection, schema: str, name: str) -> bool:
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL statement_timeout = '{_LOOK_SECONDS}s'".encode())
            query = sql.SQL("SELECT EXISTS (SELECT FROM ONLY {})").format(Name(schema, name))
            row = connection.execute(query).fetchone()
            return bool(row and row[0])
    except (errors.QueryCanceled, errors.LockNotAvailable, errors.InsufficientPrivilege):
        return True
    except errors.UndefinedTable:
        return False

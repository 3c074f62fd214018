"""Names of database objects inside SQL."""

from psycopg import abc, sql


class Name(sql.Composable):
    """A quoted name, with its schema where it has one: `Name("public", "orders")`.

    Unlike `sql.Identifier` it takes any bytes that a SQL_ASCII database holds, as `DatabaseAddress.connect` reads them.
    """

    def __init__(self, *parts: str) -> None:
        """Take the parts from the outermost to the innermost."""
        super().__init__(parts)
        self._parts = parts

    def as_bytes(self, context: abc.AdaptContext | None = None) -> bytes:
        """Return `"public"."orders"`."""
        del context  # every session here speaks UTF-8, or passes bytes on as they are
        quoted = (part.replace('"', '""').encode("utf-8", "surrogateescape") for part in self._parts)
        return b".".join(b'"' + part + b'"' for part in quoted)

"""Pieces of SQL that the schema queries share.

Every query yields (identity, definition): the identity is the object's name, stable across a restore (never an OID),
the definition a jsonb text with sorted keys. The session's search_path is empty, so that every printed name is
qualified and unqualified catalogs mean pg_catalog.
"""

FIRST_USER_OID = 16384
"""Objects without a schema (casts, languages, access methods) are the user's own from here on."""

EXCLUDED_SCHEMAS = "((SELECT current_setting('goldcopy.excluded_schemas'))::text[])"
EXCLUDED_RELATIONS = "((SELECT current_setting('goldcopy.excluded_relations'))::oid[])"
"""What a dump leaves out on purpose is left out here too; as subqueries they are evaluated once per query."""

_TELLING_NAMES = "(pass|pwd|secret|token|key|credential|auth|conninfo|connection|dsn|uri|url)"


def definition(*pairs: tuple[str, str]) -> str:
    """Print a jsonb object of (key, SQL expression) pairs; NULL values are left out."""
    inner = ", ".join(f"'{key}', {expression}" for key, expression in pairs)
    return f"jsonb_strip_nulls(jsonb_build_object({inner}))::text"


def owner(column: str) -> tuple[str, str]:
    """Print the pair that names an owner."""
    return ("owner", f"pg_get_userbyid({column})")


def acl(kind: str, column: str, owner_column: str) -> tuple[str, str]:
    """Print the pair that lists privileges; the built-in default is made explicit, so that NULL compares equal to it.

    Args:
        kind: Object type for acldefault(), such as `r` for tables.
        column: The aclitem[] column.
        owner_column: The owner's column.
    """
    return ("acl", grants(f"coalesce({column}, acldefault('{kind}', {owner_column}))"))


def grants(aclitems: str) -> str:
    """Print an aclitem[] as a sorted jsonb array of `grantee=PRIVILEGE,PRIVILEGE*/grantor`."""
    grantee = "CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END"
    privileges = "string_agg(x.privilege_type || CASE WHEN x.is_grantable THEN '*' ELSE '' END, ',' "
    privileges += "ORDER BY x.privilege_type)"
    entry = f"{grantee} || '=' || {privileges} || '/' || pg_get_userbyid(x.grantor)"
    return (
        "(SELECT coalesce(jsonb_agg(g.entry ORDER BY g.entry), '[]'::jsonb) FROM "
        f"(SELECT {entry} AS entry FROM aclexplode({aclitems}) x GROUP BY x.grantee, x.grantor) g)"
    )


def sorted_array(column: str) -> str:
    """Print an array column as a sorted jsonb array, NULL when empty."""
    return f"(SELECT jsonb_agg(o ORDER BY o) FROM unnest({column}) o)"


def options(column: str) -> str:
    """Print `name=value` options of foreign data; values of telling names are left out, since they may be secrets."""
    name = "split_part(o, '=', 1)"
    shown = f"CASE WHEN {name} ~* '{_TELLING_NAMES}' THEN {name} || '=(not shown)' ELSE o END"
    return f"(SELECT jsonb_agg({shown} ORDER BY o) FROM unnest({column}) o)"


def user_schema(alias: str = "n") -> str:
    """Print the condition that keeps Postgres' own, temporary, toast and excluded schemas out."""
    return (
        f"{alias}.nspname !~ '^pg_' AND {alias}.nspname <> 'information_schema' "
        f"AND {alias}.nspname <> ALL {EXCLUDED_SCHEMAS}"
    )


def included(oid: str) -> str:
    """Print the condition that keeps excluded relations out."""
    return f"{oid} <> ALL {EXCLUDED_RELATIONS}"


def own(catalog: str, oid: str) -> str:
    """Print the condition that keeps members of extensions out: CREATE EXTENSION makes them."""
    return (
        f"NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '{catalog}'::regclass AND e.objid = {oid} "
        "AND e.objsubid = 0 AND e.deptype = 'e')"
    )


def named(alias: str, name: str, schema: str = "n") -> str:
    """Print a qualified, quoted name."""
    return f"format('%I.%I', {schema}.nspname, {alias}.{name})"


def query(identity: str, body: str, tail: str) -> str:
    """Print one whole query."""
    return f"SELECT {identity}, {body} FROM {tail}"

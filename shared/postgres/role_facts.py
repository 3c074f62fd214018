"""Read what every role of a server is: attributes, memberships, settings, and settings in the connected database."""

from shared.domain.role_facts import RoleFacts
from shared.postgres.facts import Connection

# Memberships of servers before 16 have no options of their own: their member's INHERIT decides, and SET is always
# allowed. Several grantors may have granted the same one: what any of them allows is allowed. `infinity` never ends.
_FACTS = """
WITH role AS (SELECT * FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_'),
membership AS (
    SELECT m.rolname AS member, g.rolname AS granted, bool_or(a.admin_option) AS admin,
        bool_or(coalesce((to_jsonb(a) ->> 'inherit_option')::bool, m.rolinherit)) AS inherit,
        bool_or(coalesce((to_jsonb(a) ->> 'set_option')::bool, true)) AS may_set
    FROM pg_catalog.pg_auth_members a JOIN pg_catalog.pg_roles g ON g.oid = a.roleid JOIN role m ON m.oid = a.member
    GROUP BY 1, 2
),
setting AS (
    SELECT coalesce(r.rolname, '') AS role, entry, s.setdatabase <> 0 AS here
    FROM pg_catalog.pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS entry LEFT JOIN role r ON r.oid = s.setrole
    WHERE (r.oid IS NOT NULL OR s.setrole = 0)
        AND s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
)
SELECT r.rolname::text, a.what, a.value
FROM role r CROSS JOIN LATERAL (VALUES
    ('superuser', r.rolsuper::text), ('inherit', r.rolinherit::text), ('createrole', r.rolcreaterole::text),
    ('createdb', r.rolcreatedb::text), ('replication', r.rolreplication::text), ('bypassrls', r.rolbypassrls::text),
    ('login', r.rolcanlogin::text),
    ('connection limit', CASE WHEN r.rolconnlimit = -1 THEN 'none' ELSE r.rolconnlimit::text END),
    ('valid until', CASE WHEN r.rolvaliduntil < 'infinity' THEN r.rolvaliduntil::text ELSE 'always' END)
) AS a (what, value)
UNION ALL
SELECT member::text, 'membership in ' || granted, concat_ws(', ', 'with ADMIN ' || admin, 'INHERIT ' || inherit,
    'SET ' || may_set)
FROM membership
UNION ALL
SELECT role::text, 'setting ' || split_part(entry, '=', 1) || CASE WHEN here AND role <> '' THEN ' in the database'
    ELSE '' END, substr(entry, strpos(entry, '=') + 1)
FROM setting WHERE here OR role <> ''
"""
_SUPERUSERS = "SELECT rolname FROM pg_catalog.pg_roles WHERE rolsuper ORDER BY oid"


def read_role_facts(connection: Connection) -> RoleFacts:
    """Read the facts of all roles but Postgres' own; needs no privileges.

    Args:
        connection: With `TimeZone` UTC and `DateStyle` ISO, so that instants are printed alike everywhere.
    """
    facts: dict[str, dict[str, str]] = {}
    for role, what, value in connection.execute(_FACTS).fetchall():
        facts.setdefault(str(role), {})[str(what)] = str(value)
    return facts


def read_superusers(connection: Connection) -> tuple[str, ...]:
    """Read the names of all superusers, the one that the cluster was made with first."""
    return tuple(str(row[0]) for row in connection.execute(_SUPERUSERS).fetchall())

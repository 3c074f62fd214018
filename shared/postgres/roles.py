"""Write the cluster's roles and the database's own settings as SQL: what pg_dump of one database leaves out.

Every statement stands in a DO block of its own that changes nothing which exists already and turns what the destination
does not allow into a warning, so the script runs anywhere: in an empty scratch server, in a managed one, and twice.
A warning's DETAIL names the fact that is not as at the source (`role app: setting work_mem`).
Roles never get a password and cannot log in. A block's outer quotes are chosen so that no name can end them.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from shared.domain.role_facts import HERE, MEMBERSHIP, SETTING, fact_label
from shared.postgres.facts import Connection
from shared.postgres.snapshot import quoted

_LIST_SETTINGS = frozenset(
    {
        "local_preload_libraries", "oauth_validator_libraries", "search_path", "session_preload_libraries",
        "shared_preload_libraries", "temp_tablespaces", "unix_socket_directories",
    }
)  # fmt: skip
"""Settings stored as a list of quoted names; ALTER ... SET takes each element on its own (GUC_LIST_QUOTE)."""

_ROLES = """
SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls,
    rolconnlimit, rolvaliduntil::text, shobj_description(oid, 'pg_authid')
FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY rolname
"""
# Several grantors may have granted the same membership; a restored one has a single grantor, so the options add up.
_MEMBERSHIPS = """
SELECT r.rolname, m.rolname, bool_or(a.admin_option), bool_or((to_jsonb(a) ->> 'inherit_option')::bool),
    bool_or((to_jsonb(a) ->> 'set_option')::bool)
FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
WHERE m.rolname !~ '^pg_' GROUP BY 1, 2 ORDER BY 1, 2
"""
_ROLE_SETTINGS = """
SELECT r.rolname, s.setconfig FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole
WHERE s.setdatabase = 0 ORDER BY r.rolname
"""
_DATABASE_SETTINGS = """
SELECT coalesce(r.rolname, ''), s.setconfig
FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_roles r ON r.oid = s.setrole
WHERE d.datname = current_database() AND (s.setrole = 0 OR r.oid IS NOT NULL) ORDER BY 1
"""
_DATABASE = """
SELECT pg_get_userbyid(datdba), datconnlimit, shobj_description(oid, 'pg_database'), datacl IS NOT NULL
FROM pg_database WHERE datname = current_database()
"""
_DATABASE_ACL = """
SELECT CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END, a.privilege_type, a.is_grantable
FROM pg_database d, aclexplode(d.datacl) a
WHERE d.datname = current_database() AND (a.grantee = 0 OR EXISTS (SELECT FROM pg_roles r WHERE r.oid = a.grantee))
ORDER BY 1, 2
"""


def read_roles_sql(connection: Connection) -> tuple[tuple[str, ...], str]:
    """Read the names of all roles but Postgres' own, and the SQL that makes them.

    Returns:
        Names in order, and a script that needs no particular search_path. An existing role is left as it is.
    """
    roles: list[tuple[Any, ...]] = connection.execute(_ROLES).fetchall()
    memberships: list[tuple[Any, ...]] = connection.execute(_MEMBERSHIPS).fetchall()
    settings: list[tuple[Any, ...]] = connection.execute(_ROLE_SETTINGS).fetchall()
    parts = ["-- Roles of the source: without passwords, and none may log in. Existing roles are left as they are.\n"]
    parts += [_role_block(*row) for row in roles]
    parts += [_membership_block(*row) for row in memberships]
    parts += [_role_settings_block(name, values) for name, values in settings if not name.startswith("pg_")]
    parts.append(_login_note([row[0] for row in roles if row[5]]))
    return tuple(row[0] for row in roles), "".join(parts)


def read_settings_sql(connection: Connection) -> str:
    """Read the database's owner, privileges, comment, limit and settings as SQL for whatever database it runs in."""
    row: tuple[Any, ...] = connection.execute(_DATABASE).fetchone() or ()
    owner, limit, comment, has_acl = row
    settings: list[tuple[Any, ...]] = connection.execute(_DATABASE_SETTINGS).fetchall()
    parts = ["-- Settings of the source's database; apply them last: they change how sessions read and write.\n"]
    parts.append(_database_block("ALTER DATABASE ", f" OWNER TO {quoted(owner)}"))
    if has_acl:
        acl: list[tuple[Any, ...]] = connection.execute(_DATABASE_ACL).fetchall()
        parts += _acl_blocks(owner, acl)
    if limit != -1:
        parts.append(_database_block("ALTER DATABASE ", f" CONNECTION LIMIT {limit}"))
    if comment:
        parts.append(_database_block("COMMENT ON DATABASE ", f" IS {literal(comment)}"))
    for role, values in settings:
        head = f"ALTER ROLE {quoted(role)} IN DATABASE " if role else "ALTER DATABASE "
        for value in values:
            about = fact_label(role, SETTING + value.partition("=")[0] + (HERE if role else ""))
            parts.append(_database_block(head, f" SET {setting_clause(value)}", about))
    return "".join(parts)


def setting_clause(entry: str) -> str:
    r"""Print `name=value` from pg_db_role_setting as `"name" TO 'value'`, lists element by element.

    Worked example: `search_path="$user", public` becomes `"search_path" TO '$user', 'public'`; as one literal it would
    name a single schema called `"$user", public`.
    """
    name, _, value = entry.partition("=")
    elements = split_setting_list(value) if name.lower() in _LIST_SETTINGS else [value]
    return f"{quoted(name)} TO {', '.join(literal(element) for element in elements)}"


def split_setting_list(value: str) -> list[str]:
    """Split a stored list of names as the server does: commas outside double quotes, doubled quotes inside them."""
    elements, position = [], 0
    while position < len(value):
        while position < len(value) and value[position].isspace():
            position += 1
        if value[position : position + 1] == '"':
            text = ""
            position += 1
            while position < len(value):
                if value.startswith('""', position):
                    text, position = text + '"', position + 2
                elif value[position] == '"':
                    break
                else:
                    text, position = text + value[position], position + 1
            end = value.find(",", position + 1)
        else:
            end = value.find(",", position)
            text = value[position : end if end >= 0 else None].strip()
        elements.append(text)
        position = end + 1 if end >= 0 else len(value)
    return elements or [""]


def literal(text: str) -> str:
    """Print a string constant that means the same whatever standard_conforming_strings says."""
    doubled = text.replace("'", "''")
    return " E'" + doubled.replace("\\", "\\\\") + "'" if "\\" in doubled else f"'{doubled}'"


def _role_block(*row: Any) -> str:  # a row of the query above
    name, superuser, inherit, create_role, create_db, _, replication, bypass_rls, limit, valid_until, comment = row
    role = quoted(name)
    plain = f"NOLOGIN {'INHERIT' if inherit else 'NOINHERIT'} CONNECTION LIMIT {limit}"
    if valid_until:
        plain += f" VALID UNTIL {literal(valid_until)}"
    flags = {"SUPERUSER": superuser, "CREATEROLE": create_role, "CREATEDB": create_db, "REPLICATION": replication}
    statements = [
        _tolerant(f"ALTER ROLE {role} {flag}", fact_label(name, flag.lower()))
        for flag, is_set in (flags | {"BYPASSRLS": bypass_rls}).items()
        if is_set
    ]
    if comment:
        statements.append(_tolerant(f"COMMENT ON ROLE {role} IS {literal(comment)}", fact_label(name, "comment")))
    body = f"CREATE ROLE {role} {plain};\n" + "".join(statements)
    return _do(f"IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {literal(name)}) THEN\n{body}END IF;\n")


def _membership_block(role: str, member: str, admin: bool, inherit: bool | None, may_set: bool | None) -> str:  # noqa: FBT001
    grant = f"GRANT {quoted(role)} TO {quoted(member)}"
    old = grant + " WITH ADMIN OPTION" * admin
    about = fact_label(member, MEMBERSHIP + role)
    if inherit is None or may_set is None:  # a source before 16: memberships have no options of their own
        return _do(_tolerant(old, about))
    new = f"{grant} WITH ADMIN {str(admin).upper()}, INHERIT {str(inherit).upper()}, SET {str(may_set).upper()}"
    choice = "CASE WHEN current_setting('server_version_num')::int >= 160000 THEN {} ELSE {} END"
    return _do(_tolerant("EXECUTE " + choice.format(literal(new), literal(old)), about))


def _role_settings_block(name: str, values: Sequence[str]) -> str:
    statements = "".join(
        _tolerant(
            f"ALTER ROLE {quoted(name)} SET {setting_clause(value)}",
            fact_label(name, SETTING + value.partition("=")[0]),
        )
        for value in values
    )
    has_some = (
        "SELECT FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_roles r ON r.oid = s.setrole "
        f"WHERE s.setdatabase = 0 AND r.rolname = {literal(name)}"
    )
    return _do(f"IF NOT EXISTS ({has_some}) THEN\n{statements}END IF;\n")


def _acl_blocks(owner: str, acl: Iterable[tuple[Any, ...]]) -> list[str]:
    blocks = [_database_block("REVOKE ALL ON DATABASE ", f" FROM PUBLIC, {quoted(owner)}")]
    for grantee, privilege, grantable in acl:
        to = quoted(grantee) if grantee else "PUBLIC"
        option = " WITH GRANT OPTION" if grantable and grantee else ""
        blocks.append(_database_block(f"GRANT {privilege} ON DATABASE ", f" TO {to}{option}"))
    return blocks


def _database_block(before: str, after: str, about: str = "database") -> str:
    """A statement with the name of whatever database it runs in between its two halves."""
    return _do(_tolerant(f"EXECUTE {literal(before)} || quote_ident(current_database()) || {literal(after)}", about))


def _tolerant(statement: str, about: str) -> str:
    warning = f"RAISE WARNING 'not applied: %', SQLERRM USING DETAIL = {literal(about)}"
    return f"BEGIN\n{statement};\nEXCEPTION WHEN OTHERS THEN {warning};\nEND;\n"


def _do(body: str) -> str:
    tag = "$goldcopy$"
    while tag in body:
        tag = f"{tag[:-1]}_$"
    return f"DO {tag} BEGIN\n{body}END {tag};\n\n"


def _login_note(names: Sequence[str]) -> str:
    """Tell which roles could log in, as comments; a name with a line break must not end its comment."""
    shown = [name for name in names if name.isprintable()]
    lines = [f"-- ALTER ROLE {quoted(name)} LOGIN PASSWORD '...';\n" for name in shown]
    return "".join(["-- These roles could log in at the source; give each a new password:\n", *lines]) if lines else ""

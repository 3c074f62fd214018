"""Tell differences that are only another way to print the same definition from real ones.

pg_dump writes exactly what the source's server prints, S. The restored object is what the server makes of S, printed
again; the two texts may differ without anything being lost: `v IN ('a')` on a varchar column is printed first as
`v = ANY (ARRAY['a'::character varying]::text[])` and, read back, as `v = ANY (ARRAY['a'::character varying::text])`.
So S is given to the restored server once more, under another name or in place of the restored object, printed, and the
transaction rolled back. Equal to the restored object: nothing was lost. Anything else, an error included, stays real.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg

from shared.postgres.facts import Connection
from shared.postgres.roles import literal
from shared.postgres.schema import ChangeKind, SchemaDifference

_REPRINTED = "the server prints the source's definition this way once it has read it; nothing is lost"
_INVALID_INDEX = "the index was invalid at the source (a failed CREATE INDEX CONCURRENTLY), and pg_dump leaves such out"
_TRIGGERS_ON = "the foreign key's triggers were disabled at the source, which a dump cannot say; here it is enforced"
_INHERITED_NAME = "a NOT NULL that the table inherits has no name of its own in a dump; the column is as it was"
_IDENTITY_TYPE = "the sequence of an identity column had another type than its column, which a dump cannot say"
_PARENTS_COLUMN = "a child's column that has none of its own inherits its parent's setting where a dump is restored"
_PROBE = "goldcopy_probe"

Definition = dict[str, Any]


class _Refused(Exception):
    """The definition cannot be tried, or does not come out as one; the difference stays real."""


def settle_differences(
    connection: Connection, differences: Sequence[SchemaDifference]
) -> tuple[list[SchemaDifference], list[SchemaDifference]]:
    """Sort differences into real ones and such that lose nothing.

    Args:
        connection: The restored database, as superuser or owner, in autocommit; every trial is rolled back.
        differences: What `compare_schema` found.

    Returns:
        The real ones, and the settled ones with their explanation.
    """
    real, settled = [], []
    renamed = _renamed_by_inheritance(connection, differences)
    for difference in differences:
        if difference in renamed:
            settled.append(replace(difference, explanation=_INHERITED_NAME))
            continue
        explanation = _beyond_a_dump(difference)
        if not explanation and _is_handed_down(connection, difference):
            explanation = _PARENTS_COLUMN
        elif not explanation and _is_reprinted(connection, difference):
            explanation = _REPRINTED
        if explanation:
            settled.append(replace(difference, explanation=explanation))
        else:
            real.append(difference)
    return real, settled


def _renamed_by_inheritance(connection: Connection, differences: Sequence[SchemaDifference]) -> list[SchemaDifference]:
    """Pair NOT NULL constraints (in the catalog from 18 on) of one table that differ in nothing but their names.

    A table that inherits one from several parents takes the name from any of them, and pg_dump does not say from which.
    """
    removed, added = [
        [item for item in differences if item.object_class == "constraints" and item.kind is kind]
        for kind in (ChangeKind.REMOVED, ChangeKind.ADDED)
    ]
    paired: list[SchemaDifference] = []
    for before in removed:
        if json.loads(before.before)["kind"] != "n":
            continue
        table = _constraint_place(before)
        for after in added:
            is_other_name = after not in paired and after.after == before.before and _constraint_place(after) == table
            if is_other_name and _is_inherited(connection, after.identity):
                paired += [before, after]
                break
    return paired


def _constraint_place(difference: SchemaDifference) -> str:
    """What a constraint is on: the identity is `name on table`, where a quoted name may hold anything."""
    name = re.match(r'"(?:[^"]|"")*"|[^ "]+', difference.identity)
    return difference.identity[name.end() :] if name else difference.identity


def _is_inherited(connection: Connection, identity: str) -> bool:
    row = connection.execute(
        "SELECT FROM pg_constraint WHERE conrelid <> 0 AND coninhcount > 0 "
        f"AND format('%I on %s', conname, conrelid::regclass) = {literal(identity)}".encode()
    ).fetchone()
    return row is not None


def _is_handed_down(connection: Connection, difference: SchemaDifference) -> bool:
    """Whether a parent's column, set after its child was made, is all that differs: pg_dump sets it before."""
    parts = set(difference.changed_parts)
    if difference.object_class != "columns" or not parts or not parts <= {"compression", "storage"}:
        return False
    if parts & json.loads(difference.before).keys():
        return False
    row = connection.execute(
        "SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE a.attinhcount > 0 AND NOT c.relispartition "
        f"AND format('%I.%I.%I', n.nspname, c.relname, a.attname) = {literal(difference.identity)}".encode()
    ).fetchone()
    return row is not None


def _beyond_a_dump(difference: SchemaDifference) -> str:
    """Explain what pg_dump has no words for."""
    if not difference.before:
        return ""
    before = json.loads(difference.before)
    if difference.object_class == "indexes" and difference.kind is ChangeKind.REMOVED:
        return "" if before["valid"] else _INVALID_INDEX
    if difference.object_class == "constraints" and difference.changed_parts == ("triggers_enabled",):
        return "" if "triggers_enabled" in json.loads(difference.after) else _TRIGGERS_ON
    if difference.object_class == "sequences" and difference.changed_parts == ("type",):
        return _IDENTITY_TYPE if before.get("owned_by", "").startswith("i ") else ""
    return ""


def _is_reprinted(connection: Connection, difference: SchemaDifference) -> bool:
    parts, trial = _TRIALS.get(difference.object_class, (frozenset(), None))
    if trial is None or not difference.changed_parts or not parts.issuperset(difference.changed_parts):
        return False
    before, after = json.loads(difference.before), json.loads(difference.after)
    try:
        with _rolled_back(connection):
            reprinted = trial(connection, difference.identity, before)
    except (psycopg.Error, _Refused):
        return False
    return all(reprinted.get(part) == after.get(part) for part in difference.changed_parts)


@contextmanager
def _rolled_back(connection: Connection) -> Iterator[None]:
    """Leave nothing behind, and wake no event trigger of the database."""
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL session_replication_role = replica")
        if connection.info.server_version >= 170000:
            connection.execute("SET LOCAL event_triggers = off")
        yield


# -- trials: make the source's definition anew and return the parts that are printed ----------------------------------


def _try_view(connection: Connection, _identity: str, before: Definition) -> Definition:
    _run(connection, f"CREATE TEMPORARY VIEW {_PROBE} AS {before['definition']}")
    return {"definition": _value(connection, f"SELECT pg_get_viewdef('pg_temp.{_PROBE}'::regclass)")}


def _try_function(connection: Connection, identity: str, before: Definition) -> Definition:
    _run(connection, before["definition"])
    return {"definition": _value(connection, f"SELECT pg_get_functiondef({literal(identity)}::regprocedure)")}


def _try_rule(connection: Connection, identity: str, before: Definition) -> Definition:
    name, table = _on_table(connection, "pg_rewrite", "rulename", "ev_class", identity)
    _run(connection, f"DROP RULE {name} ON {table}", before["definition"])
    return _printed(connection, "pg_get_ruledef", "pg_rewrite", "rulename", "ev_class", identity)


def _try_trigger(connection: Connection, identity: str, before: Definition) -> Definition:
    # A clone on a partition goes only with the trigger it is a clone of.
    origin = (
        "WITH RECURSIVE origin AS (SELECT oid, tgname, tgrelid, tgparentid FROM pg_trigger "
        f"WHERE format('%I on %s', tgname, tgrelid::regclass) = {literal(identity)} "
        "UNION ALL SELECT t.oid, t.tgname, t.tgrelid, t.tgparentid FROM pg_trigger t "
        "JOIN origin o ON t.oid = o.tgparentid) "
        "SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass) FROM origin WHERE tgparentid = 0"
    )
    _run(connection, _value(connection, origin), before["definition"])
    return _printed(connection, "pg_get_triggerdef", "pg_trigger", "tgname", "tgrelid", identity)


def _try_policy(connection: Connection, identity: str, before: Definition) -> Definition:
    _name, table = _on_table(connection, "pg_policy", "polname", "polrelid", identity)
    using = f" USING ({before['using']})" if "using" in before else ""
    check = f" WITH CHECK ({before['check']})" if "check" in before else ""
    command = {"r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE", "*": "ALL"}[before["command"]]
    _run(connection, f"CREATE POLICY {_PROBE} ON {table} FOR {command}{using}{check}")
    row = connection.execute(
        "SELECT pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid) FROM pg_policy "
        f"WHERE polname = '{_PROBE}'"
    ).fetchone()
    if row is None:
        raise _Refused
    return {key: value for key, value in zip(("using", "check"), row, strict=True) if value is not None}


def _try_constraint(connection: Connection, identity: str, before: Definition) -> Definition:
    definition = before["definition"]
    if before["kind"] == "c":
        # Without NOT VALID the server would read the whole table; what it prints then ends with these words.
        added = "" if definition.endswith((" NOT VALID", " NOT ENFORCED")) else " NOT VALID"
        table = _constrained(connection, identity)
        _run(connection, f"ALTER {table} ADD CONSTRAINT {_PROBE} {definition}{added}")
    elif before["kind"] == "x":
        added = ""
        copied = _copy(connection, _constrained(connection, identity).removeprefix("TABLE "))
        _run(connection, f"ALTER TABLE {copied} ADD CONSTRAINT {_PROBE} {definition}")
    else:
        raise _Refused
    # A constraint on a parent is inherited by its children: all of them print the same.
    query = f"SELECT min(pg_get_constraintdef(oid)) FROM pg_constraint WHERE conname = '{_PROBE}'"
    printed = _value(connection, query)
    return {"definition": printed.removesuffix(added)}


def _try_index(connection: Connection, identity: str, before: Definition) -> Definition:
    row = connection.execute(
        "SELECT format('CREATE %%sINDEX %%I ON %%s%%s ', CASE WHEN x.indisunique THEN 'UNIQUE ' END, c.relname, "
        "CASE WHEN c.relkind = 'I' THEN 'ONLY ' END, x.indrelid::regclass), x.indrelid::regclass::text, "
        "x.indisunique FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indexrelid = %s::regclass",
        (identity,),
    ).fetchone()
    head, table, unique = row or ("", "", False)
    definition = before["definition"]
    if not definition.startswith(str(head)):
        raise _Refused
    copied = _copy(connection, str(table))
    tail = definition.removeprefix(str(head))
    _run(connection, f"CREATE {'UNIQUE ' if unique else ''}INDEX {_PROBE} ON {copied} {tail}")
    printed = _value(connection, f"SELECT pg_get_indexdef('pg_temp.{_PROBE}'::regclass)")
    return {"definition": str(head) + "USING " + printed.partition(" USING ")[2]}


def _try_column(connection: Connection, identity: str, before: Definition) -> Definition:
    row = connection.execute(
        "SELECT c.oid::regclass::text, quote_ident(a.attname) FROM pg_attribute a "
        "JOIN pg_class c ON c.oid = a.attrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE format('%%I.%%I.%%I', nspname, relname, attname) = %s",
        (identity,),
    ).fetchone()
    if row is None or "default" not in before:
        raise _Refused
    table, column = str(row[0]), str(row[1])
    copied = _copy(connection, table)
    if "generated" in before:
        kind = "STORED" if before["generated"] == "s" else "VIRTUAL"
        _run(
            connection,
            f"ALTER TABLE {copied} DROP COLUMN {column}",
            f"ALTER TABLE {copied} ADD COLUMN {column} {before['type']} "
            f"GENERATED ALWAYS AS ({before['default']}) {kind}",
        )
    else:
        _run(connection, f"ALTER TABLE {copied} ALTER COLUMN {column} SET DEFAULT {before['default']}")
    printed = _value(
        connection,
        "SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid "
        f"AND a.attnum = d.adnum WHERE d.adrelid = 'pg_temp.{_PROBE}_table'::regclass "
        f"AND quote_ident(a.attname) = {literal(column)}",
    )
    return {"default": printed}


def _try_statistics(connection: Connection, identity: str, before: Definition) -> Definition:
    _run(connection, f"DROP STATISTICS {identity}", before["definition"])
    return {
        "definition": _value(
            connection,
            "SELECT pg_get_statisticsobjdef(s.oid) FROM pg_statistic_ext s "
            "JOIN pg_namespace n ON n.oid = s.stxnamespace "
            f"WHERE format('%I.%I', n.nspname, s.stxname) = {literal(identity)}",
        )
    }


_Trial = Callable[[Connection, str, Definition], Definition]
_TRIALS: dict[str, tuple[frozenset[str], _Trial]] = {
    "views": (frozenset({"definition"}), _try_view),
    "materialized_views": (frozenset({"definition"}), _try_view),
    "functions": (frozenset({"definition"}), _try_function),
    "rules": (frozenset({"definition"}), _try_rule),
    "triggers": (frozenset({"definition"}), _try_trigger),
    "policies": (frozenset({"using", "check"}), _try_policy),
    "constraints": (frozenset({"definition"}), _try_constraint),
    "indexes": (frozenset({"definition"}), _try_index),
    "columns": (frozenset({"default"}), _try_column),
    "statistics": (frozenset({"definition"}), _try_statistics),
}


# -- small steps ------------------------------------------------------------------------------------------------------


def _run(connection: Connection, *statements: str) -> None:
    for statement in statements:
        connection.execute(statement.encode())


def _value(connection: Connection, query: str) -> str:
    row = connection.execute(query.encode()).fetchone()
    if row is None or row[0] is None:
        raise _Refused
    return str(row[0])


def _copy(connection: Connection, table: str) -> str:
    """Make an empty table with the same columns, and nothing else that could be in the way."""
    _run(connection, f"CREATE TEMPORARY TABLE {_PROBE}_table (LIKE {table})")
    return f"pg_temp.{_PROBE}_table"


def _on_table(connection: Connection, catalog: str, name: str, table: str, identity: str) -> tuple[str, str]:
    row = connection.execute(
        f"SELECT quote_ident({name}), {table}::regclass::text FROM {catalog} "
        f"WHERE format('%I on %s', {name}, {table}::regclass) = {literal(identity)}".encode()
    ).fetchone()
    if row is None:
        raise _Refused
    return str(row[0]), str(row[1])


def _printed(connection: Connection, printer: str, catalog: str, name: str, table: str, identity: str) -> Definition:
    query = f"SELECT {printer}(oid) FROM {catalog} WHERE format('%I on %s', {name}, {table}::regclass) = "
    return {"definition": _value(connection, query + literal(identity))}


def _constrained(connection: Connection, identity: str) -> str:
    """Return `TABLE x` or `DOMAIN x` for the object that a constraint is on."""
    return _value(
        connection,
        "SELECT CASE WHEN conrelid <> 0 THEN 'TABLE ' || conrelid::regclass ELSE 'DOMAIN ' || contypid::regtype END "
        "FROM pg_constraint WHERE CASE WHEN conrelid <> 0 THEN format('%I on %s', conname, conrelid::regclass) "
        f"ELSE format('%I on domain %s', conname, contypid::regtype) END = {literal(identity)}",
    )

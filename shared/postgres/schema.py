"""Read every schema object as text, make digests of it, and compare a source with what was restored from it."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.postgres.facts import Connection, reading
from shared.postgres.schema_code import code_queries
from shared.postgres.schema_objects import object_queries
from shared.postgres.schema_relations import relation_queries

Schema = dict[str, dict[str, str]]
"""Class of objects (tables, functions, policies ...) -> identity (a qualified name) -> definition (JSON text)."""

READER_FORMAT = "1"
"""Rises when definitions are written differently; a digest of another format says nothing about the objects."""

# What changes how definitions are printed; a connection made for reading data has most of them already.
_SETTINGS = {
    "search_path": "",
    "quote_all_identifiers": "off",
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmlbinary": "base64",
}


class ChangeKind(StrEnum):
    """What happened to an object between the source and the restored copy."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaDifference:
    """One schema object that is not the same.

    Attributes:
        object_class: Such as `policies`.
        identity: Qualified name, such as `own_rows on public.tasks`.
        kind: Whether it is only restored (added), only in the source (removed), or in both but different.
        before: The source's definition, empty where it has none.
        after: The restored definition, empty where there is none.
        explanation: Why it is no loss, where that was found out (`shared.postgres.settle`), else empty.
    """

    object_class: str
    identity: str
    kind: ChangeKind
    before: str = ""
    after: str = ""
    explanation: str = ""

    @property
    def changed_parts(self) -> tuple[str, ...]:
        """Names of the parts of the definition that differ, such as `owner` or `acl`; empty unless changed."""
        if self.kind is not ChangeKind.CHANGED:
            return ()
        before, after = json.loads(self.before), json.loads(self.after)
        if not isinstance(before, dict) or not isinstance(after, dict):
            return ("text",)
        return tuple(sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key)))


def read_schema(
    connection: Connection,
    *,
    excluded_tables: Sequence[tuple[str, str]] = (),
    excluded_schemas: Sequence[str] = (),
) -> Schema:
    """Read all schema objects of a database; works on servers 13 to 18 and needs no privileges on the objects.

    Left out: Postgres' own and temporary objects, members of extensions (only changed privileges of those are kept),
    tablespaces, values of options that may be secrets, and what the dump leaves out entirely.

    Args:
        connection: The database.
        excluded_tables: (schema, name) of relations that the dump leaves out, with all that hangs on them.
        excluded_schemas: Schemas that the dump leaves out.

    Raises:
        SourceChanged: An object was dropped or altered meanwhile.
    """
    _fix_settings(connection, excluded_tables, excluded_schemas)
    version = connection.info.server_version
    schema: Schema = {"reader": {"format": READER_FORMAT}}
    for object_class, query in (relation_queries(version) | code_queries(version) | object_queries(version)).items():
        with reading(object_class.replace("_", " ")):
            rows: list[tuple[Any, ...]] = connection.execute(query.encode()).fetchall()
        schema[object_class] = {identity: text for identity, text in sorted(rows)}
    return schema


def digest_schema(schema: Schema, key: bytes) -> dict[str, str]:
    """Digest each class of objects.

    Args:
        schema: What `read_schema` returned.
        key: The repository's fingerprint key: a digest must not let anyone test a guess.

    Returns:
        Class -> HMAC-SHA-256 as hex, whatever the order of the objects.
    """
    return {
        object_class: hmac.new(
            key, json.dumps(objects, sort_keys=True, separators=(",", ":")).encode(), hashlib.sha256
        ).hexdigest()
        for object_class, objects in schema.items()
    }


def digest_objects(schema: Schema, key: bytes) -> dict[tuple[str, str], str]:
    """Digest each object, so that a worker that cannot read old backups can still tell what changed, by name.

    Args:
        schema: What `read_schema` returned.
        key: The repository's fingerprint key.

    Returns:
        (Class, identity) -> digest of the whole, and of each part of the definition that has a name, such as
        `5d0c...|acl=77ab01cd|owner=1f2e3d4c`. Equal parts of two objects have different digests.
    """
    digests = {}
    for object_class, objects in schema.items():
        for identity, definition in objects.items():
            whole = json.dumps([object_class, identity, definition])
            parts = json.loads(definition) if definition.startswith("{") else {}
            printed = [
                f"{name}={_digest(key, json.dumps([object_class, identity, name, parts[name]], sort_keys=True))[:8]}"
                for name in sorted(parts)
            ]
            digests[object_class, identity] = "|".join([_digest(key, whole)[:32], *printed])
    return digests


def _digest(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def compare_schema(source: Schema, restored: Schema) -> list[SchemaDifference]:
    """List every object that differs, by class and identity.

    Only the classes that the source's reading knows are compared: an older reading may have fewer.
    """
    found = []
    for object_class, objects in source.items():
        there = restored.get(object_class, {})
        for identity in sorted(objects.keys() | there.keys()):
            before, after = objects.get(identity), there.get(identity)
            if before != after:
                found.append(
                    SchemaDifference(
                        object_class=object_class,
                        identity=identity,
                        kind=_kind(before, after),
                        before=before or "",
                        after=after or "",
                    )
                )
    return found


def _kind(before: str | None, after: str | None) -> ChangeKind:
    if before is None:
        return ChangeKind.ADDED
    return ChangeKind.REMOVED if after is None else ChangeKind.CHANGED


def _fix_settings(
    connection: Connection, excluded_tables: Sequence[tuple[str, str]], excluded_schemas: Sequence[str]
) -> None:
    connection.execute(
        "SELECT set_config(name, value, false) FROM pg_catalog.json_each_text(%s::pg_catalog.json) AS s (name, value)",
        (json.dumps(_SETTINGS),),
    )
    connection.execute(
        "SELECT set_config('goldcopy.excluded_schemas', %s::text[]::text, false), "
        "set_config('goldcopy.excluded_relations', ARRAY(SELECT c.oid FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE (n.nspname, c.relname) IN (SELECT t.schema, t.name "
        "FROM unnest(%s::text[], %s::text[]) t (schema, name)))::text, false)",
        (list(excluded_schemas), [schema for schema, _ in excluded_tables], [name for _, name in excluded_tables]),
    )

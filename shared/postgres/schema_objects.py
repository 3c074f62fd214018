"""Schema queries for what belongs to the whole database: schemas, extensions, replication, privileges, comments."""

from shared.postgres.schema_sql import (
    EXCLUDED_SCHEMAS,
    FIRST_USER_OID,
    acl,
    definition,
    grants,
    included,
    options,
    own,
    owner,
    query,
    sorted_array,
    user_schema,
)


def object_queries(version: int) -> dict[str, str]:
    """Return the query of each class.

    Args:
        version: The server's number, such as 170011.
    """
    return {
        "schemas": _schemas(),
        "event_triggers": _event_triggers(),
        "extensions": _extensions(),
        "publications": _publications(version),
        "subscriptions": _subscriptions(),
        "foreign_data": _foreign_data(),
        "default_privileges": _default_privileges(),
        "comments": _labels("pg_description", "d.description", "''"),
        "security_labels": _labels("pg_seclabel", "d.label", "d.provider || ' label of '"),
        "large_objects": _large_objects(),
        "granted_system_objects": _granted_system_objects(),
    }


def _schemas() -> str:
    return query(
        "quote_ident(n.nspname)",
        definition(owner("n.nspowner"), acl("n", "n.nspacl", "n.nspowner")),
        f"pg_namespace n WHERE {user_schema()} AND {own('pg_namespace', 'n.oid')}",
    )


def _event_triggers() -> str:
    body = definition(
        ("event", "t.evtevent"),
        ("tags", sorted_array("t.evttags")),
        ("function", "t.evtfoid::regprocedure::text"),
        ("enabled", "t.evtenabled"),
        owner("t.evtowner"),
    )
    return query("quote_ident(t.evtname)", body, f"pg_event_trigger t WHERE {own('pg_event_trigger', 't.oid')}")


def _extensions() -> str:
    return query(
        "quote_ident(e.extname)",
        definition(("version", "e.extversion"), ("schema", "n.nspname")),
        "pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace",
    )


def _publications(version: int) -> str:
    body = definition(
        ("all_tables", "p.puballtables"),
        ("operations", "jsonb_build_array(p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate)"),
        ("via_root", "p.pubviaroot"),
        ("generated_columns", "p.pubgencols" if version >= 180000 else "NULL::text"),
        owner("p.pubowner"),
    )
    columns = (
        "(SELECT jsonb_agg(a.attname ORDER BY a.attname) FROM pg_attribute a "
        "WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs))"
    )
    table_body = (
        definition(("columns", columns), ("filter", "pg_get_expr(r.prqual, r.prrelid)"))
        if version >= 150000
        else "'{}'::text"
    )
    parts = [
        query("quote_ident(p.pubname)", body, f"pg_publication p WHERE {own('pg_publication', 'p.oid')}"),
        query(
            "format('%I table %s', p.pubname, r.prrelid::regclass)",
            table_body,
            "pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid "
            "JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
            f"WHERE {included('c.oid')} AND {user_schema()}",
        ),
    ]
    if version >= 150000:
        parts.append(
            query(
                "format('%I schema %I', p.pubname, n.nspname)",
                "'{}'::text",
                "pg_publication_namespace s JOIN pg_publication p ON p.oid = s.pnpubid "
                f"JOIN pg_namespace n ON n.oid = s.pnnspid WHERE {user_schema()}",
            )
        )
    return " UNION ALL ".join(parts)


def _subscriptions() -> str:
    # The connection string is secret, and whether it is enabled is not restored on purpose: a copy must not subscribe.
    body = definition(
        ("slot", "s.subslotname"), ("publications", sorted_array("s.subpublications")), owner("s.subowner")
    )
    return query(
        "quote_ident(s.subname)",
        body,
        "pg_subscription s WHERE s.subdbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())",
    )


def _foreign_data() -> str:
    wrapper = definition(
        ("handler", "w.fdwhandler::regproc::text"),
        ("validator", "w.fdwvalidator::regproc::text"),
        ("options", options("w.fdwoptions")),
        owner("w.fdwowner"),
        acl("F", "w.fdwacl", "w.fdwowner"),
    )
    server = definition(
        ("wrapper", "w.fdwname"),
        ("type", "s.srvtype"),
        ("version", "s.srvversion"),
        ("options", options("s.srvoptions")),
        owner("s.srvowner"),
        acl("S", "s.srvacl", "s.srvowner"),
    )
    names_only = "(SELECT jsonb_agg(split_part(o, '=', 1) ORDER BY split_part(o, '=', 1)) FROM unnest(m.umoptions) o)"
    return " UNION ALL ".join(
        (
            query(
                "format('wrapper %I', w.fdwname)",
                wrapper,
                f"pg_foreign_data_wrapper w WHERE {own('pg_foreign_data_wrapper', 'w.oid')}",
            ),
            query(
                "format('server %I', s.srvname)",
                server,
                "pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw "
                f"WHERE {own('pg_foreign_server', 's.oid')}",
            ),
            query(
                "format('user mapping for %s server %I', CASE WHEN m.umuser = 0 THEN 'PUBLIC' "
                "ELSE quote_ident(m.usename) END, m.srvname)",
                definition(("options", names_only)),
                f"pg_user_mappings m WHERE {own('pg_user_mapping', 'm.umid')}",
            ),
        )
    )


def _default_privileges() -> str:
    return query(
        "format('of %I%s for %s', pg_get_userbyid(d.defaclrole), coalesce(' in ' || quote_ident(n.nspname), ''), "
        "CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' "
        "WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE 'large objects' END)",
        definition(("acl", grants("d.defaclacl"))),
        "pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace "
        f"WHERE n.oid IS NULL OR {user_schema()}",
    )


def _labels(catalog: str, text: str, before: str) -> str:
    quoted_schemas = f"(ARRAY(SELECT quote_ident(s) FROM unnest({EXCLUDED_SCHEMAS}) s))"
    identified = "LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) i"
    return query(
        f"{before} || i.type || ' ' || i.identity",
        f"to_jsonb({text})::text",
        f"{catalog} d, {identified} WHERE i.identity IS NOT NULL AND coalesce(i.schema, '') !~ '^pg_(?!temp)' "
        "AND coalesce(i.schema, '') <> 'information_schema' "
        f"AND (d.objoid >= {FIRST_USER_OID} OR d.classoid IN ('pg_largeobject'::regclass, 'pg_extension'::regclass) "
        "OR (d.classoid = 'pg_namespace'::regclass AND i.identity = 'public')) "
        "AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classoid AND e.objid = d.objoid "
        "AND e.objsubid = 0 AND e.deptype = 'e') "
        f"AND coalesce(i.schema, '') <> ALL {quoted_schemas} "
        f"AND (d.classoid <> 'pg_namespace'::regclass OR i.identity <> ALL {quoted_schemas}) "
        f"AND (d.classoid <> 'pg_class'::regclass OR {included('d.objoid')}) "
        "AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = d.classoid AND x.objid = d.objoid "
        f"AND x.deptype IN ('a', 'i') AND x.refclassid = 'pg_class'::regclass AND NOT {included('x.refobjid')})",
    )


def _large_objects() -> str:
    return query(
        "m.oid::text",
        definition(owner("m.lomowner"), acl("L", "m.lomacl", "m.lomowner")),
        "pg_largeobject_metadata m",
    )


def _granted_system_objects() -> str:
    """Privileges that were changed on what initdb or an extension made: pg_dump writes the change (pg_init_privs)."""
    kinds = (
        ("pg_class", "relacl", "relowner", "CASE o.relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\"", "relnamespace"),
        ("pg_proc", "proacl", "proowner", "'f'", "pronamespace"),
    )
    return " UNION ALL ".join(_granted(*kind) for kind in kinds)


def _granted(catalog: str, acl_column: str, owner_column: str, kind: str, schema_column: str) -> str:
    default = f"acldefault({kind}, o.{owner_column})"
    now = _other_grants(f"coalesce(o.{acl_column}, {default})", f"o.{owner_column}")
    initial = _other_grants(f"coalesce(p.initprivs, {default})", f"o.{owner_column}")
    is_member = f"NOT {own(catalog, 'o.oid')}"
    return (
        f"SELECT i.type || ' ' || i.identity, x.now::text FROM {catalog} o "
        f"JOIN pg_namespace n ON n.oid = o.{schema_column} "
        f"LEFT JOIN pg_init_privs p ON p.classoid = '{catalog}'::regclass AND p.objoid = o.oid AND p.objsubid = 0 "
        f"CROSS JOIN LATERAL (SELECT {now} AS now, {initial} AS initial) x "
        f"CROSS JOIN LATERAL pg_identify_object('{catalog}'::regclass, o.oid, 0) i "
        f"WHERE o.{acl_column} IS DISTINCT FROM p.initprivs AND x.now <> x.initial "
        "AND n.nspname !~ '^(pg_toast|pg_temp|information_schema)' "
        f"AND (NOT ({user_schema()}) OR {is_member})"
    )


def _other_grants(aclitems: str, owner_column: str) -> str:
    """Grants to others than the owner, without grantors: who owns an extension's objects depends on who restores."""
    return (
        "(SELECT coalesce(jsonb_agg(g.entry ORDER BY g.entry), '[]'::jsonb) FROM (SELECT "
        "CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END || '=' || "
        "string_agg(DISTINCT x.privilege_type || CASE WHEN x.is_grantable THEN '*' ELSE '' END, ',') AS entry "
        f"FROM aclexplode({aclitems}) x WHERE x.grantee <> {owner_column} GROUP BY x.grantee) g)"
    )

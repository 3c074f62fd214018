"""Schema queries for tables and what hangs on them."""

from shared.postgres.schema_sql import (
    acl,
    definition,
    grants,
    included,
    named,
    options,
    own,
    owner,
    query,
    sorted_array,
    user_schema,
)

_OWN_RELATION = f"{user_schema()} AND {included('c.oid')} AND {own('pg_class', 'c.oid')}"
_ON_TABLE = f"pg_class c ON c.oid = {{}} JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_OWN_RELATION}"


def relation_queries(version: int) -> dict[str, str]:
    """Return the query of each class.

    Args:
        version: The server's number, such as 170011.
    """
    return {
        "tables": _tables(),
        "columns": _columns(version),
        "constraints": _constraints(),
        "indexes": _indexes(),
        "sequences": _sequences(),
        "views": _views("v"),
        "materialized_views": _views("m"),
        "rules": _rules(),
        "triggers": _triggers(),
        "policies": _policies(),
        "statistics": _statistics(),
    }


def _tables() -> str:
    # Children of plain inheritance are restored with their parents' columns first, so their order says nothing.
    column_order = """CASE WHEN c.relispartition OR NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)
        THEN (SELECT jsonb_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) END"""
    parents = "(SELECT jsonb_agg(i.inhparent::regclass::text ORDER BY i.inhseqno) FROM pg_inherits i "
    parents += "WHERE i.inhrelid = c.oid)"
    body = definition(
        ("kind", "c.relkind"),
        ("persistence", "c.relpersistence"),
        owner("c.relowner"),
        acl("r", "c.relacl", "c.relowner"),
        ("row_security", "c.relrowsecurity"),
        ("force_row_security", "c.relforcerowsecurity"),
        ("options", sorted_array("c.reloptions")),
        ("toast_options", f"(SELECT {sorted_array('t.reloptions')} FROM pg_class t WHERE t.oid = c.reltoastrelid)"),
        ("inherits", parents),
        ("partition_key", "CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END"),
        ("partition_bound", "pg_get_expr(c.relpartbound, c.oid)"),
        ("replica_identity", "c.relreplident"),
        ("access_method", "am.amname"),
        ("of_type", "CASE WHEN c.reloftype <> 0 THEN c.reloftype::regtype::text END"),
        ("column_order", column_order),
        ("foreign_server", "f.srvname"),
        ("foreign_options", options("ft.ftoptions")),
    )
    return query(
        named("c", "relname"),
        body,
        "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am am ON am.oid = c.relam "
        "LEFT JOIN pg_foreign_table ft ON ft.ftrelid = c.oid LEFT JOIN pg_foreign_server f ON f.oid = ft.ftserver "
        f"WHERE c.relkind IN ('r', 'p', 'f') AND {_OWN_RELATION}",
    )


def _columns(version: int) -> str:
    body = definition(
        ("type", "format_type(a.atttypid, a.atttypmod)"),
        ("collation", "CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END"),
        ("not_null", "a.attnotnull"),
        ("default", "pg_get_expr(d.adbin, d.adrelid)"),
        ("identity", "nullif(a.attidentity, '')"),
        ("generated", "nullif(a.attgenerated, '')"),
        ("storage", "CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage END"),
        ("compression", "nullif(a.attcompression, '')" if version >= 140000 else "NULL::text"),
        ("statistics", "nullif(a.attstattarget::int, -1)"),
        ("options", sorted_array("a.attoptions")),
        ("foreign_options", options("a.attfdwoptions")),
        ("acl", f"CASE WHEN a.attacl IS NOT NULL THEN nullif({grants('a.attacl')}, '[]'::jsonb) END"),
    )
    return query(
        "format('%I.%I.%I', n.nspname, c.relname, a.attname)",
        body,
        "pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
        "LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
        f"JOIN {_ON_TABLE.format('a.attrelid')} AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c') "
        "AND a.attnum > 0 AND NOT a.attisdropped",
    )


def _constraints() -> str:
    # A foreign key on or to a partitioned table has a clone per partition, with a name that the server makes up.
    enforcement = (
        "CASE WHEN con.contype = 'f' THEN nullif((SELECT jsonb_agg(DISTINCT g.tgenabled) FROM pg_trigger g "
        "WHERE g.tgconstraint = con.oid), '[\"O\"]'::jsonb) END"
    )
    body = definition(
        ("kind", "con.contype"),
        ("definition", "pg_get_constraintdef(con.oid)"),
        ("validated", "con.convalidated"),
        ("triggers_enabled", enforcement),
    )
    on_table = query(
        "format('%I on %s', con.conname, con.conrelid::regclass)",
        body,
        f"pg_constraint con JOIN {_ON_TABLE.format('con.conrelid')} "
        "AND con.contype <> 't' AND (con.contype <> 'f' OR con.conparentid = 0)",
    )
    on_domain = query(
        "format('%I on domain %s', con.conname, con.contypid::regtype)",
        body,
        "pg_constraint con JOIN pg_type t ON t.oid = con.contypid JOIN pg_namespace n ON n.oid = t.typnamespace "
        f"WHERE {user_schema()} AND {own('pg_type', 't.oid')}",
    )
    return f"{on_table} UNION ALL {on_domain}"


def _indexes() -> str:
    targets = (
        "(SELECT jsonb_object_agg(a.attnum, a.attstattarget) FROM pg_attribute a "
        "WHERE a.attrelid = x.indexrelid AND a.attstattarget >= 0)"
    )
    body = definition(
        ("definition", "pg_get_indexdef(x.indexrelid)"),
        ("valid", "x.indisvalid"),
        ("ready", "x.indisready"),
        ("clustered", "x.indisclustered"),
        ("replica_identity", "x.indisreplident"),
        ("parent", "(SELECT i.inhparent::regclass::text FROM pg_inherits i WHERE i.inhrelid = x.indexrelid)"),
        ("statistics", targets),
    )
    return query(
        named("ic", "relname"),
        body,
        f"pg_index x JOIN pg_class ic ON ic.oid = x.indexrelid JOIN {_ON_TABLE.format('x.indrelid')}",
    )


def _sequences() -> str:
    owned_by = (
        "(SELECT d.deptype::text || ' ' || d.refobjid::regclass::text || '.' || quote_ident(a.attname) "
        "FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid "
        "WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0 "
        f"AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND {included('d.refobjid')} LIMIT 1)"
    )
    of_left_out_identity = (
        "EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0 "
        f"AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'i' AND NOT {included('d.refobjid')})"
    )
    body = definition(
        ("type", "s.seqtypid::regtype::text"),
        ("start", "s.seqstart"),
        ("increment", "s.seqincrement"),
        ("minimum", "s.seqmin"),
        ("maximum", "s.seqmax"),
        ("cache", "s.seqcache"),
        ("cycle", "s.seqcycle"),
        ("persistence", "c.relpersistence"),
        ("owned_by", owned_by),
        owner("c.relowner"),
        acl("s", "c.relacl", "c.relowner"),
    )
    tail = f"pg_sequence s JOIN {_ON_TABLE.format('s.seqrelid')} AND NOT {of_left_out_identity}"
    return query(named("c", "relname"), body, tail)


def _views(kind: str) -> str:
    pairs = [
        ("definition", "pg_get_viewdef(c.oid)"),
        ("options", sorted_array("c.reloptions")),
        owner("c.relowner"),
        acl("r", "c.relacl", "c.relowner"),
    ]
    if kind == "m":
        pairs += [("populated", "c.relispopulated"), ("access_method", "am.amname")]
    return query(
        named("c", "relname"),
        definition(*pairs),
        "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am am ON am.oid = c.relam "
        f"WHERE c.relkind = '{kind}' AND {_OWN_RELATION}",
    )


def _rules() -> str:
    return query(
        "format('%I on %s', r.rulename, r.ev_class::regclass)",
        definition(("definition", "pg_get_ruledef(r.oid)"), ("enabled", "r.ev_enabled")),
        f"pg_rewrite r JOIN {_ON_TABLE.format('r.ev_class')} "
        "AND NOT (r.rulename = '_RETURN' AND c.relkind IN ('v', 'm'))",
    )


def _triggers() -> str:
    # Clones on partitions are internal before 15, yet may be disabled one by one; foreign keys' own triggers are not
    # restored from a dump and show up with their constraints.
    return query(
        "format('%I on %s', g.tgname, g.tgrelid::regclass)",
        definition(("definition", "pg_get_triggerdef(g.oid)"), ("enabled", "g.tgenabled")),
        f"pg_trigger g LEFT JOIN pg_constraint con ON con.oid = g.tgconstraint JOIN {_ON_TABLE.format('g.tgrelid')} "
        "AND (NOT g.tgisinternal OR g.tgparentid <> 0) AND (con.oid IS NULL OR con.contype = 't')",
    )


def _policies() -> str:
    # Not limited to own tables: pg_dump writes policies on tables of extensions too.
    roles = (
        "(SELECT jsonb_agg(p ORDER BY p) FROM (SELECT CASE WHEN o = 0 THEN 'PUBLIC' "
        "ELSE quote_ident(pg_get_userbyid(o)) END AS p FROM unnest(pol.polroles) o) members)"
    )
    body = definition(
        ("permissive", "pol.polpermissive"),
        ("command", "pol.polcmd"),
        ("roles", roles),
        ("using", "pg_get_expr(pol.polqual, pol.polrelid)"),
        ("check", "pg_get_expr(pol.polwithcheck, pol.polrelid)"),
    )
    return query(
        "format('%I on %s', pol.polname, pol.polrelid::regclass)",
        body,
        "pg_policy pol JOIN pg_class c ON c.oid = pol.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE {user_schema()} AND {included('c.oid')}",
    )


def _statistics() -> str:
    body = definition(
        ("definition", "pg_get_statisticsobjdef(s.oid)"),
        ("target", "nullif(s.stxstattarget::int, -1)"),
        owner("s.stxowner"),
    )
    return query(
        named("s", "stxname", "sn"),
        body,
        f"pg_statistic_ext s JOIN pg_namespace sn ON sn.oid = s.stxnamespace JOIN {_ON_TABLE.format('s.stxrelid')}",
    )

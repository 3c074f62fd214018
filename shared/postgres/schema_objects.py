"""Schema queries for everything that is not a table: functions, types, operators, privileges, comments and the rest."""

from shared.postgres.schema_sql import (
    acl,
    definition,
    grants,
    named,
    options,
    own,
    owner,
    query,
    sorted_array,
    user_schema,
)

_FIRST_USER_OID = 16384
"""Objects without a schema (casts, languages, access methods) are the user's own from here on."""


def object_queries(version: int) -> dict[str, str]:
    """Return the query of each class.

    Args:
        version: The server's number, such as 170011.
    """
    return {
        "schemas": _schemas(),
        "functions": _functions(),
        "event_triggers": _event_triggers(),
        "types": _types(version),
        "operators": _operators(),
        "operator_classes": _operator_classes(),
        "operator_families": _operator_families(),
        "casts": _casts(),
        "collations": _collations(),
        "conversions": _conversions(),
        "text_search": _text_search(),
        "extensions": _extensions(),
        "publications": _publications(version),
        "subscriptions": _subscriptions(),
        "foreign_data": _foreign_data(),
        "default_privileges": _default_privileges(),
        "comments": _labels("pg_description", "d.description", "''"),
        "security_labels": _labels("pg_seclabel", "d.label", "d.provider || ' label of '"),
        "languages": _languages(),
        "access_methods": _access_methods(),
        "transforms": _transforms(),
        "large_objects": _large_objects(),
        "granted_system_objects": _granted_system_objects(),
    }


def _schemas() -> str:
    return query(
        "quote_ident(n.nspname)",
        definition(owner("n.nspowner"), acl("n", "n.nspacl", "n.nspowner")),
        f"pg_namespace n WHERE {user_schema()} AND {own('pg_namespace', 'n.oid')}",
    )


def _functions() -> str:
    aggregate = ", ".join(
        f"'{key}', {expression}"
        for key, expression in (
            ("arguments", "pg_get_function_arguments(p.oid)"),
            ("kind", "g.aggkind"),
            ("transition", "g.aggtransfn::regprocedure::text"),
            ("final", "g.aggfinalfn::text"),
            ("combine", "g.aggcombinefn::text"),
            ("serial", "g.aggserialfn::text"),
            ("deserial", "g.aggdeserialfn::text"),
            ("moving", "jsonb_build_array(g.aggmtransfn::text, g.aggminvtransfn::text, g.aggmfinalfn::text, "
             "g.aggmfinalextra, g.aggmfinalmodify, g.aggmtranstype::regtype::text, g.aggmtransspace, g.aggminitval)"),
            ("final_extra", "g.aggfinalextra"),
            ("final_modify", "g.aggfinalmodify"),
            ("sort_operator", "g.aggsortop::regoperator::text"),
            ("state", "g.aggtranstype::regtype::text"),
            ("state_bytes", "g.aggtransspace"),
            ("initial", "g.agginitval"),
            ("parallel", "p.proparallel"),
            ("returns", "p.prorettype::regtype::text"),
        )
    )  # fmt: skip
    body = definition(
        ("definition", "CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END"),
        ("aggregate", f"CASE WHEN p.prokind = 'a' THEN jsonb_build_object({aggregate}) END"),
        owner("p.proowner"),
        acl("f", "p.proacl", "p.proowner"),
    )
    return query(
        "format('%I.%I(%s)', n.nspname, p.proname, array_to_string(p.proargtypes::oid[]::regtype[], ', '))",
        body,
        "pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace LEFT JOIN pg_aggregate g ON g.aggfnoid = p.oid "
        # Constructors of a range type are made with it.
        "LEFT JOIN pg_depend i ON i.classid = 'pg_proc'::regclass AND i.objid = p.oid AND i.deptype = 'i' "
        f"WHERE {user_schema()} AND {own('pg_proc', 'p.oid')} AND i.objid IS NULL",
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


def _types(version: int) -> str:
    multirange = "r.rngmultitypid::regtype::text" if version >= 140000 else "NULL::text"
    range_parts = (
        "jsonb_build_object('subtype', format_type(r.rngsubtype, NULL), "
        "'operator_class', (SELECT format('%I.%I', on_.nspname, oc.opcname) FROM pg_opclass oc "
        "JOIN pg_namespace on_ ON on_.oid = oc.opcnamespace WHERE oc.oid = r.rngsubopc), "
        "'collation', nullif(r.rngcollation, 0)::regcollation::text, 'canonical', r.rngcanonical::text, "
        f"'difference', r.rngsubdiff::text, 'multirange', {multirange})"
    )
    base_parts = (
        "jsonb_build_array(t.typlen, t.typbyval, t.typalign, t.typstorage, t.typcategory, t.typispreferred, t.typdelim, "
        "t.typinput::text, t.typoutput::text, t.typreceive::text, t.typsend::text, t.typmodin::text, "
        "t.typmodout::text, t.typanalyze::text, format_type(nullif(t.typelem, 0), NULL), t.typcollation <> 0)"
    )
    labels = "(SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)"
    collation = "CASE WHEN t.typtype = 'd' AND t.typcollation <> b.typcollation "
    collation += "THEN t.typcollation::regcollation::text END"
    body = definition(
        ("kind", "CASE WHEN t.typisdefined THEN t.typtype ELSE 'undefined' END"),
        ("labels", labels),
        ("base", "CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END"),
        ("not_null", "CASE WHEN t.typtype = 'd' THEN t.typnotnull END"),
        ("default", "coalesce(pg_get_expr(t.typdefaultbin, 0), t.typdefault)"),
        ("collation", collation),
        ("attributes", "(SELECT jsonb_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = t.typrelid "
         "AND t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped)"),
        ("range", f"CASE WHEN r.rngtypid IS NOT NULL THEN {range_parts} END"),
        ("representation", f"CASE WHEN t.typtype = 'b' AND t.typisdefined THEN {base_parts} END"),
        owner("t.typowner"),
        acl("T", "t.typacl", "t.typowner"),
    )  # fmt: skip
    return query(
        named("t", "typname"),
        body,
        "pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_range r ON r.rngtypid = t.oid "
        "LEFT JOIN pg_type b ON b.oid = t.typbasetype LEFT JOIN pg_class c ON c.oid = t.typrelid "
        f"WHERE {user_schema()} AND {own('pg_type', 't.oid')} AND t.typtype <> 'm' "
        "AND (c.oid IS NULL OR c.relkind = 'c') AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)",
    )


def _operators() -> str:
    body = definition(
        ("function", "o.oprcode::regprocedure::text"),
        ("commutator", "nullif(o.oprcom, 0)::regoperator::text"),
        ("negator", "nullif(o.oprnegate, 0)::regoperator::text"),
        ("restrict", "o.oprrest::text"),
        ("join", "o.oprjoin::text"),
        ("merges", "o.oprcanmerge"),
        ("hashes", "o.oprcanhash"),
        owner("o.oprowner"),
    )
    return query(
        "o.oid::regoperator::text",
        body,
        "pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace "
        f"WHERE {user_schema()} AND o.oprcode <> 0 AND {own('pg_operator', 'o.oid')}",
    )


_FAMILY = "(SELECT format('%I.%I', fn.nspname, f.opfname) FROM pg_opfamily f "
_FAMILY += "JOIN pg_namespace fn ON fn.oid = f.opfnamespace WHERE f.oid = {})"


def _operator_classes() -> str:
    body = definition(
        ("family", _FAMILY.format("o.opcfamily")),
        ("input", "o.opcintype::regtype::text"),
        ("stored", "CASE WHEN o.opckeytype <> 0 THEN o.opckeytype::regtype::text END"),
        ("default", "o.opcdefault"),
        owner("o.opcowner"),
    )
    return query(
        "format('%I.%I using %I', n.nspname, o.opcname, am.amname)",
        body,
        "pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace JOIN pg_am am ON am.oid = o.opcmethod "
        f"WHERE {user_schema()} AND {own('pg_opclass', 'o.oid')}",
    )


def _operator_families() -> str:
    operators = (
        "(SELECT jsonb_agg(x.entry ORDER BY x.entry) FROM (SELECT format('%s %s %s %s', a.amopstrategy, "
        "a.amopopr::regoperator, a.amoppurpose, coalesce(" + _FAMILY.format("a.amopsortfamily") + ", '')) AS entry "
        "FROM pg_amop a WHERE a.amopfamily = o.oid) x)"
    )
    functions = (
        "(SELECT jsonb_agg(x.entry ORDER BY x.entry) FROM (SELECT format('%s (%s, %s) %s', a.amprocnum, "
        "a.amproclefttype::regtype, a.amprocrighttype::regtype, a.amproc::regprocedure) AS entry "
        "FROM pg_amproc a WHERE a.amprocfamily = o.oid) x)"
    )
    return query(
        "format('%I.%I using %I', n.nspname, o.opfname, am.amname)",
        definition(("operators", operators), ("functions", functions), owner("o.opfowner")),
        "pg_opfamily o JOIN pg_namespace n ON n.oid = o.opfnamespace JOIN pg_am am ON am.oid = o.opfmethod "
        f"WHERE {user_schema()} AND {own('pg_opfamily', 'o.oid')}",
    )


def _casts() -> str:
    body = definition(
        ("method", "c.castmethod"),
        ("function", "CASE WHEN c.castfunc <> 0 THEN c.castfunc::regprocedure::text END"),
        ("context", "c.castcontext"),
    )
    return query(
        "format('%s as %s', c.castsource::regtype, c.casttarget::regtype)",
        body,
        # The cast between a range and its multirange comes with the type.
        f"pg_cast c WHERE c.oid >= {_FIRST_USER_OID} AND {own('pg_cast', 'c.oid')} AND NOT EXISTS (SELECT "
        "FROM pg_depend i WHERE i.classid = 'pg_cast'::regclass AND i.objid = c.oid AND i.deptype = 'i')",
    )


def _collations() -> str:
    # Columns were renamed over the versions (colliculocale 15, colllocale 17, collicurules 16).
    body = definition(
        ("provider", "c.collprovider"),
        ("deterministic", "c.collisdeterministic"),
        ("collate", "to_jsonb(c) ->> 'collcollate'"),
        ("ctype", "to_jsonb(c) ->> 'collctype'"),
        ("locale", "coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale')"),
        ("rules", "to_jsonb(c) ->> 'collicurules'"),
        owner("c.collowner"),
    )
    return query(
        named("c", "collname"),
        body,
        "pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace "
        f"WHERE {user_schema()} AND {own('pg_collation', 'c.oid')}",
    )


def _conversions() -> str:
    body = definition(
        ("from", "pg_encoding_to_char(c.conforencoding)"),
        ("to", "pg_encoding_to_char(c.contoencoding)"),
        ("function", "c.conproc::regprocedure::text"),
        ("default", "c.condefault"),
        owner("c.conowner"),
    )
    return query(
        named("c", "conname"),
        body,
        "pg_conversion c JOIN pg_namespace n ON n.oid = c.connamespace "
        f"WHERE {user_schema()} AND {own('pg_conversion', 'c.oid')}",
    )


def _text_search() -> str:
    tokens = (
        "(SELECT jsonb_agg(format('%s %s %s', tt.alias, m.mapseqno, m.mapdict::regdictionary) "
        "ORDER BY tt.alias, m.mapseqno) FROM pg_ts_config_map m "
        "JOIN LATERAL ts_token_type(o.cfgparser) tt ON tt.tokid = m.maptokentype WHERE m.mapcfg = o.oid)"
    )
    parser = "(SELECT format('%I.%I', pn.nspname, p.prsname) FROM pg_ts_parser p JOIN pg_namespace pn "
    parser += "ON pn.oid = p.prsnamespace WHERE p.oid = o.cfgparser)"
    template = "(SELECT format('%I.%I', tn.nspname, p.tmplname) FROM pg_ts_template p JOIN pg_namespace tn "
    template += "ON tn.oid = p.tmplnamespace WHERE p.oid = o.dicttemplate)"
    parser_parts = (
        "o.prsstart::text",
        "o.prstoken::text",
        "o.prsend::text",
        "o.prsheadline::text",
        "o.prslextype::text",
    )
    kinds = [
        ("configuration", "pg_ts_config", "cfg", definition(("parser", parser), ("tokens", tokens), owner("o.cfgowner"))),
        ("dictionary", "pg_ts_dict", "dict",
         definition(("template", template), ("options", "o.dictinitoption"), owner("o.dictowner"))),
        ("parser", "pg_ts_parser", "prs", definition(("functions", f"jsonb_build_array({', '.join(parser_parts)})"))),
        ("template", "pg_ts_template", "tmpl",
         definition(("functions", "jsonb_build_array(o.tmplinit::text, o.tmpllexize::text)"))),
    ]  # fmt: skip
    return " UNION ALL ".join(
        query(
            f"format('{kind} %I.%I', n.nspname, o.{prefix}name)",
            body,
            f"{catalog} o JOIN pg_namespace n ON n.oid = o.{prefix}namespace "
            f"WHERE {user_schema()} AND {own(catalog, 'o.oid')}",
        )
        for kind, catalog, prefix, body in kinds
    )


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
            "pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid",
        ),
    ]
    if version >= 150000:
        parts.append(
            query(
                "format('%I schema %I', p.pubname, n.nspname)",
                "'{}'::text",
                "pg_publication_namespace s JOIN pg_publication p ON p.oid = s.pnpubid "
                "JOIN pg_namespace n ON n.oid = s.pnnspid",
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
        "pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace",
    )


def _labels(catalog: str, text: str, before: str) -> str:
    identified = "LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) i"
    return query(
        f"{before} || i.type || ' ' || i.identity",
        f"to_jsonb({text})::text",
        f"{catalog} d, {identified} WHERE i.identity IS NOT NULL AND coalesce(i.schema, '') !~ '^pg_(?!temp)' "
        "AND coalesce(i.schema, '') <> 'information_schema' "
        f"AND (d.objoid >= {_FIRST_USER_OID} OR d.classoid IN ('pg_largeobject'::regclass, 'pg_extension'::regclass) "
        "OR (d.classoid = 'pg_namespace'::regclass AND i.identity = 'public')) "
        "AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classoid AND e.objid = d.objoid "
        "AND e.objsubid = 0 AND e.deptype = 'e')",
    )


def _languages() -> str:
    body = definition(
        ("handler", "l.lanplcallfoid::regproc::text"),
        ("inline", "l.laninline::regproc::text"),
        ("validator", "l.lanvalidator::regproc::text"),
        ("trusted", "l.lanpltrusted"),
        owner("l.lanowner"),
        acl("l", "l.lanacl", "l.lanowner"),
    )
    return query(
        "quote_ident(l.lanname)",
        body,
        f"pg_language l WHERE l.oid >= {_FIRST_USER_OID} AND {own('pg_language', 'l.oid')}",
    )


def _access_methods() -> str:
    return query(
        "quote_ident(a.amname)",
        definition(("kind", "a.amtype"), ("handler", "a.amhandler::text")),
        f"pg_am a WHERE a.oid >= {_FIRST_USER_OID} AND {own('pg_am', 'a.oid')}",
    )


def _transforms() -> str:
    return query(
        "format('%s language %I', t.trftype::regtype, l.lanname)",
        definition(("from_sql", "t.trffromsql::text"), ("to_sql", "t.trftosql::text")),
        f"pg_transform t JOIN pg_language l ON l.oid = t.trflang WHERE {own('pg_transform', 't.oid')}",
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
    is_member = f"EXISTS (SELECT FROM pg_depend e WHERE e.classid = '{catalog}'::regclass AND e.objid = o.oid "
    is_member += "AND e.objsubid = 0 AND e.deptype = 'e')"
    return (
        f"SELECT i.type || ' ' || i.identity, x.now::text FROM {catalog} o JOIN pg_namespace n ON n.oid = o.{schema_column} "
        f"LEFT JOIN pg_init_privs p ON p.classoid = '{catalog}'::regclass AND p.objoid = o.oid AND p.objsubid = 0 "
        f"CROSS JOIN LATERAL (SELECT {now} AS now, {initial} AS initial) x "
        f"CROSS JOIN LATERAL pg_identify_object('{catalog}'::regclass, o.oid, 0) i "
        f"WHERE (o.{acl_column} IS NOT NULL OR p.initprivs IS NOT NULL) AND o.{acl_column} IS DISTINCT FROM p.initprivs "
        f"AND n.nspname !~ '^(pg_toast|pg_temp|information_schema)' AND (NOT ({user_schema()}) OR {is_member}) AND x.now <> x.initial"
    )


def _other_grants(aclitems: str, owner_column: str) -> str:
    """Grants to others than the owner, without grantors: who owns an extension's objects depends on who restores."""
    return (
        "(SELECT coalesce(jsonb_agg(g.entry ORDER BY g.entry), '[]'::jsonb) FROM (SELECT "
        "CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END || '=' || "
        "string_agg(DISTINCT x.privilege_type || CASE WHEN x.is_grantable THEN '*' ELSE '' END, ',') AS entry "
        f"FROM aclexplode({aclitems}) x WHERE x.grantee <> {owner_column} GROUP BY x.grantee) g)"
    )

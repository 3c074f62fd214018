"""Schema queries for what computes: functions, types, operators, casts, collations, text search, languages."""

from shared.postgres.schema_sql import FIRST_USER_OID, acl, definition, named, own, owner, query, user_schema


def code_queries(version: int) -> dict[str, str]:
    """Return the query of each class.

    Args:
        version: The server's number, such as 170011.
    """
    return {
        "functions": _functions(),
        "types": _types(version),
        "operators": _operators(),
        "operator_classes": _operator_classes(),
        "operator_families": _operator_families(),
        "casts": _casts(),
        "collations": _collations(),
        "conversions": _conversions(),
        "text_search": _text_search(),
        "languages": _languages(),
        "access_methods": _access_methods(),
        "transforms": _transforms(),
    }


def _functions() -> str:
    moving = (
        "jsonb_build_array(g.aggmtransfn::text, g.aggminvtransfn::text, g.aggmfinalfn::text, g.aggmfinalextra, "
        "g.aggmfinalmodify, g.aggmtranstype::regtype::text, g.aggmtransspace, g.aggminitval)"
    )
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
            ("moving", moving),
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
        "jsonb_build_array(t.typlen, t.typbyval, t.typalign, t.typstorage, t.typcategory, t.typispreferred, "
        "t.typdelim, t.typinput::text, t.typoutput::text, t.typreceive::text, t.typsend::text, t.typmodin::text, "
        "t.typmodout::text, t.typanalyze::text, format_type(nullif(t.typelem, 0), NULL), t.typcollation <> 0)"
    )
    labels = "(SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)"
    attributes = (
        "(SELECT jsonb_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a "
        "WHERE a.attrelid = t.typrelid AND t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped)"
    )
    collation = "CASE WHEN t.typtype = 'd' AND t.typcollation <> b.typcollation "
    collation += "THEN t.typcollation::regcollation::text END"
    body = definition(
        ("kind", "CASE WHEN t.typisdefined THEN t.typtype ELSE 'undefined' END"),
        ("labels", labels),
        ("base", "CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END"),
        ("not_null", "CASE WHEN t.typtype = 'd' THEN t.typnotnull END"),
        ("default", "coalesce(pg_get_expr(t.typdefaultbin, 0), t.typdefault)"),
        ("collation", collation),
        ("attributes", attributes),
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


_FAMILY = (
    "(SELECT format('%I.%I', fn.nspname, f.opfname) FROM pg_opfamily f "
    "JOIN pg_namespace fn ON fn.oid = f.opfnamespace WHERE f.oid = {})"
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
        f"pg_cast c WHERE c.oid >= {FIRST_USER_OID} AND {own('pg_cast', 'c.oid')} AND NOT EXISTS (SELECT "
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
        ("configuration", "pg_ts_config", "cfg",
         definition(("parser", parser), ("tokens", tokens), owner("o.cfgowner"))),
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
        f"pg_language l WHERE l.oid >= {FIRST_USER_OID} AND {own('pg_language', 'l.oid')}",
    )


def _transforms() -> str:
    return query(
        "format('%s language %I', t.trftype::regtype, l.lanname)",
        definition(("from_sql", "t.trffromsql::text"), ("to_sql", "t.trftosql::text")),
        f"pg_transform t JOIN pg_language l ON l.oid = t.trflang WHERE {own('pg_transform', 't.oid')}",
    )


def _access_methods() -> str:
    return query(
        "quote_ident(a.amname)",
        definition(("kind", "a.amtype"), ("handler", "a.amhandler::text")),
        f"pg_am a WHERE a.oid >= {FIRST_USER_OID} AND {own('pg_am', 'a.oid')}",
    )

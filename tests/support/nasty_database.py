"""A database of everything that ever broke a comparison: names, types, orders, owners, rules, holes."""

from shared.postgres.connection import DatabaseAddress
from tests.support.postgres_servers import run_sql

HOSTILE_TABLE = 'we"ird. tab\nle$ {}%s \\ ünï'
HOSTILE_COLUMN = 'col"umn\t1'
SPARSE_LARGE_OBJECT, EMPTY_LARGE_OBJECT, BIG_LARGE_OBJECT = 600002, 600003, 600004
ROLES = ("nasty_owner", "nasty reader")

_ROLES = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'nasty_owner') THEN CREATE ROLE nasty_owner; END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'nasty reader') THEN CREATE ROLE "nasty reader"; END IF;
END $$;
"""

_OBJECTS = r"""
SET search_path = public;
CREATE SCHEMA shop AUTHORIZATION nasty_owner;
CREATE SCHEMA "odd schema";
CREATE EXTENSION hstore;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE float_range AS RANGE (subtype = float8);

CREATE TABLE shop.customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text UNIQUE NOT NULL,
    note text, shout text GENERATED ALWAYS AS (upper(email)) STORED, tags hstore, created_at timestamptz NOT NULL);
INSERT INTO shop.customers (email, note, tags, created_at)
    SELECT 'c' || g || '@example.org', CASE g % 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'n' || g END,
        hstore('k', g::text), '2026-11-20T00:00:00Z'::timestamptz + g * interval '1 second'
    FROM generate_series(1, 500) g;
CREATE TABLE shop.orders (id serial PRIMARY KEY, customer_id bigint NOT NULL REFERENCES shop.customers,
    amount numeric(12, 2) CHECK (amount >= 0), how mood DEFAULT 'ok', span float_range, two pair, size positive);
INSERT INTO shop.orders (customer_id, amount, how, span, two, size)
    SELECT g % 500 + 1, g * 1.25, (ARRAY['sad', 'ok', 'happy'])[g % 3 + 1]::mood, float_range(g, g + 1),
        ROW(g, 'x'::text)::pair, g
    FROM generate_series(1, 2000) g;
CREATE INDEX orders_amount ON shop.orders (amount) WHERE amount > 10;
CREATE INDEX orders_customer ON shop.orders (customer_id);
CREATE STATISTICS shop.orders_statistics ON customer_id, amount FROM shop.orders;
ALTER TABLE shop.orders OWNER TO nasty_owner;
ALTER TABLE shop.customers ENABLE ROW LEVEL SECURITY;
ALTER TABLE shop.customers FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON shop.customers USING (email = current_user);
CREATE POLICY insert_rows ON shop.customers FOR INSERT TO "nasty reader" WITH CHECK (true);
GRANT SELECT ON shop.orders TO "nasty reader";
GRANT UPDATE (note) ON shop.customers TO "nasty reader";
GRANT USAGE ON SCHEMA shop TO "nasty reader";
ALTER DEFAULT PRIVILEGES FOR ROLE nasty_owner IN SCHEMA shop GRANT SELECT ON TABLES TO "nasty reader";

CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql
    AS $f$ BEGIN NEW.note := coalesce(NEW.note, '-'); RETURN NEW; END $f$;
CREATE TRIGGER touch BEFORE UPDATE ON shop.customers FOR EACH ROW EXECUTE FUNCTION shop.touch();
CREATE TRIGGER sleeping BEFORE INSERT ON shop.customers FOR EACH ROW EXECUTE FUNCTION shop.touch();
ALTER TABLE shop.customers DISABLE TRIGGER sleeping;
CREATE VIEW shop.rich AS SELECT customer_id, sum(amount) AS total FROM shop.orders GROUP BY customer_id;
CREATE MATERIALIZED VIEW shop.totals AS SELECT how, count(*) AS orders FROM shop.orders GROUP BY how;
CREATE UNIQUE INDEX totals_how ON shop.totals (how);
CREATE MATERIALIZED VIEW shop.never AS SELECT 1 AS one WITH NO DATA;
CREATE MATERIALIZED VIEW shop.stale AS SELECT max(id) AS newest FROM shop.orders;
INSERT INTO shop.orders (customer_id, amount, size) VALUES (1, 3, 1);
CREATE RULE quiet AS ON DELETE TO shop.orders DO ALSO NOTHING;
CREATE PUBLICATION shop_changes FOR TABLE shop.orders;
COMMENT ON TABLE shop.orders IS 'it''s a comment';
COMMENT ON COLUMN shop.orders.amount IS E'two\nlines';
CREATE AGGREGATE shop.total_text(text) (sfunc = textcat, stype = text, initcond = '');

CREATE TABLE parent (a int, b text);
CREATE TABLE child (c int) INHERITS (parent);
ALTER TABLE parent ADD COLUMN d text DEFAULT 'late';
INSERT INTO parent VALUES (1, 'p', 'd');
INSERT INTO child VALUES (2, 'ch', 3, 'dd'), (4, E'tab\there', 5, E'line\nfeed');
CREATE TABLE by_mood (id int, how mood, note text) PARTITION BY HASH (how);
CREATE TABLE by_mood_0 PARTITION OF by_mood FOR VALUES WITH (modulus 2, remainder 0);
CREATE TABLE by_mood_1 (note text, id int, how mood);
ALTER TABLE by_mood ATTACH PARTITION by_mood_1 FOR VALUES WITH (modulus 2, remainder 1);
INSERT INTO by_mood SELECT g, (ARRAY['sad', 'ok', 'happy'])[g % 3 + 1]::mood, 'm' || g FROM generate_series(1, 300) g;
CREATE TABLE events (id int NOT NULL, at date NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE events_old PARTITION OF events FOR VALUES FROM (MINVALUE) TO ('2026-01-01') PARTITION BY LIST (what);
CREATE TABLE events_old_a PARTITION OF events_old FOR VALUES IN ('a');
CREATE TABLE events_old_rest PARTITION OF events_old DEFAULT;
CREATE TABLE events_new PARTITION OF events DEFAULT;
INSERT INTO events SELECT g, date '2025-12-01' + g, (ARRAY['a', 'b', NULL])[g % 3 + 1] FROM generate_series(1, 60) g;

CREATE TABLE nothing ();
INSERT INTO nothing SELECT FROM generate_series(1, 7);
CREATE TABLE empty (id int PRIMARY KEY);
CREATE UNLOGGED TABLE volatile AS SELECT g AS id, repeat('v', g) AS text FROM generate_series(1, 50) g;
CREATE TABLE extremes (f8 float8, f4 float4, ts timestamp, d date, n numeric, b bytea, j jsonb, x text, i interval,
    m money, bits bit varying, ip inet, arr text[]);
INSERT INTO extremes VALUES
    ('NaN', 'Infinity', 'infinity', '-infinity', 'NaN', '\x00ff0a0d5c2e', '{"a": [1, null]}', E'\\.', '-1 mon 3 days',
     '$1,234.56', B'1010', '::1/64', ARRAY['a,b', NULL, '', '"q"']),
    ('-Infinity', 1e-45, '0044-03-15 BC', '4713-01-01 BC', 1e-100, '', 'null', E'a\rb\nc\td\be\fg\vh\\n',
     '178000000 years',
     '-$0.01', B'', '10.0.0.1', '{}'),
    (5e-324, 3.4028235e38, '294276-12-31 23:59:59.999999', 'infinity', 0.1, NULL, '"\u00fc"', '', '1 us', NULL, NULL,
     NULL, NULL);
CREATE TABLE bloated (id int, pad text);
INSERT INTO bloated SELECT g, repeat('x', CASE WHEN g % 7 = 0 THEN 3000 ELSE 10 END) FROM generate_series(1, 4000) g;
DELETE FROM bloated WHERE id % 3 = 0;
VACUUM_PLACEHOLDER
INSERT INTO bloated SELECT g, repeat('y', g % 50) FROM generate_series(5000, 5600) g;
CREATE TABLE big (id bigint, text text);
INSERT INTO big SELECT g, md5(g::text) || repeat('z', g % 40) FROM generate_series(1, 40000) g;
CREATE TABLE wide_one (v text);
INSERT INTO wide_one VALUES (repeat('8 MiB ', 1400000));

CREATE TABLE twin_a (id int PRIMARY KEY, what text);
CREATE TABLE twin_b (id int PRIMARY KEY, what text);
INSERT INTO twin_a SELECT g, 'a' || g FROM generate_series(1, 100) g;
INSERT INTO twin_b SELECT g, 'b' || g FROM generate_series(1, 100) g;

CREATE SEQUENCE down INCREMENT BY -5 START WITH 100 MAXVALUE 100;
CREATE SEQUENCE round MAXVALUE 3 CYCLE;
CREATE SEQUENCE fresh START WITH 42;
SELECT nextval('down'), nextval('down'), nextval('round'), nextval('round'), nextval('round'), nextval('round');

SELECT lo_from_bytea(600001, 'content of a large object');
SELECT lo_create(600002), lo_create(600003);
SELECT lo_put(600002, 5000000, 'after a hole');
SELECT lo_from_bytea(600004, convert_to(repeat('large ', 500000), 'UTF8'));
ALTER LARGE OBJECT 600001 OWNER TO nasty_owner;
COMMENT ON LARGE OBJECT 600001 IS 'a comment';
"""


def build_nasty_database(address: DatabaseAddress) -> None:
    """Fill an empty database, as superuser."""
    before, after = _OBJECTS.split("VACUUM_PLACEHOLDER")
    for script in (_ROLES, before, "VACUUM public.bloated", "SET search_path = public;" + after, *_hostile()):
        run_sql(address, script)


def _hostile() -> list[str]:
    table = '"odd schema".' + quote(HOSTILE_TABLE)
    sequence = literal('"odd schema".' + quote(HOSTILE_TABLE + " seq"))
    columns = ", ".join(f"c{number} int" for number in range(1600))
    return [
        f'CREATE TABLE {table} ({quote(HOSTILE_COLUMN)} text, "select" int PRIMARY KEY)',
        f"INSERT INTO {table} SELECT 'h' || g, g FROM generate_series(1, 9) g",
        f'CREATE SEQUENCE "odd schema".{quote(HOSTILE_TABLE + " seq")}',
        f"SELECT setval({sequence}, 77)",
        f"CREATE TABLE public.many_columns ({columns})",
        "INSERT INTO public.many_columns (c0, c1599) SELECT g, -g FROM generate_series(1, 5) g",
        "CREATE FUNCTION public.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE DEBUG ''seen''; END'",
        "CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION public.watch()",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET bytea_output = escape', current_database()); END $$",
    ]


def quote(name: str) -> str:
    """Quote an identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text constant."""
    return " E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

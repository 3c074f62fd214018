"""What a restore computes anew: proven where it is the same, named where it is not; stale views are no damage."""

from shared.postgres.connection import DatabaseAddress
from tests.support.postgres_servers import run_sql
from tests.support.site import MakeSite

HEALTHY = """
CREATE TABLE articles (id int PRIMARY KEY, title text NOT NULL, body text,
    slug text GENERATED ALWAYS AS (lower(replace(title, ' ', '-'))) STORED,
    words tsvector GENERATED ALWAYS AS (to_tsvector('english', coalesce(body, ''))) STORED);
INSERT INTO articles (id, title, body)
    SELECT g, 'Title ' || g, repeat('running words of article ' || g || ' ', g % 30) FROM generate_series(1, 3000) g;
CREATE INDEX ON articles USING gin (words);
CREATE MATERIALIZED VIEW lengths AS SELECT length(words) AS length, count(*) AS n FROM articles GROUP BY 1;
"""
CHANGED_LATER = """
CREATE FUNCTION with_tax(numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT round($1 * 1.19, 2)';
CREATE TABLE invoices (id int PRIMARY KEY, net numeric, gross numeric GENERATED ALWAYS AS (with_tax(net)) STORED);
INSERT INTO invoices (id, net) SELECT g, g FROM generate_series(1, 100) g;
CREATE OR REPLACE FUNCTION with_tax(numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT round($1 * 1.2, 2)';
INSERT INTO invoices (id, net) SELECT g, g FROM generate_series(101, 200) g;
"""
DEPENDS_ON_A_SETTING = """
CREATE FUNCTION day_of(timestamptz) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1::date::text';
CREATE TABLE visits (id int PRIMARY KEY, at timestamptz, day text GENERATED ALWAYS AS (day_of(at)) STORED);
SET TimeZone = 'Pacific/Auckland';
INSERT INTO visits (id, at) SELECT g, '2026-03-01 20:00:00+00' FROM generate_series(1, 5) g;
"""
STALE = """
CREATE MATERIALIZED VIEW recent AS SELECT id FROM articles WHERE id > 2990;
DELETE FROM articles WHERE id > 2995;
"""


def test_generated_columns_and_materialized_views_are_proven(make_site: MakeSite, database: DatabaseAddress) -> None:
    run_sql(database, HEALTHY)
    site = make_site(app=database)
    assert site.goldcopy("backup", "app", "--json").exit_code == 0
    tested = site.goldcopy("restore-test", "app", "--json")
    assert (tested.exit_code, tested.document["outcome"]) == (0, "passed")
    assert (tested.document["findings"], tested.document["not_measured"]) == ([], [])
    assert tested.document["tables_proven"] == 1


def test_values_that_come_out_otherwise_after_a_restore_fail_the_test_and_are_named(
    make_site: MakeSite, database: DatabaseAddress
) -> None:
    run_sql(database, HEALTHY)
    run_sql(database, CHANGED_LATER)
    run_sql(database, DEPENDS_ON_A_SETTING)
    site = make_site(app=database)
    assert site.goldcopy("backup", "app", "--json").exit_code == 0
    tested = site.goldcopy("restore-test", "app", "--json")
    assert (tested.exit_code, tested.document["outcome"]) == (1, "failed")
    found = {(item["check"], item["severity"], item["object"]): item for item in tested.document["findings"]}
    assert sorted(found) == [
        ("generated-columns", "error", "public.invoices"),
        ("generated-columns", "error", "public.visits"),
    ]
    messages = [found[key]["message"] for key in sorted(found)]
    assert "column gross," in messages[0]
    assert "the first difference is in one of the rows 1 to" in messages[0]
    assert "column day," in messages[1]
    assert tested.document["tables_proven"] == 1


def test_a_stale_materialized_view_is_told_and_is_no_damage(make_site: MakeSite, database: DatabaseAddress) -> None:
    run_sql(database, HEALTHY)
    run_sql(database, STALE + "REFRESH MATERIALIZED VIEW lengths")
    site = make_site(app=database)
    assert site.goldcopy("backup", "app", "--json").exit_code == 0
    tested = site.goldcopy("restore-test", "app", "--json")
    assert (tested.exit_code, tested.document["outcome"]) == (0, "passed")
    (finding,) = tested.document["findings"]
    assert (finding["check"], finding["severity"], finding["object"]) == ("materialized-view", "info", "public.recent")
    assert finding["message"].startswith("10 rows at the source, 5 after the restore")

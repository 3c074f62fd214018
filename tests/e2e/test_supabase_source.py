"""A Supabase-like project is backed up and proven with its roles, policies, triggers and publications."""

import json

import pytest

from tests.support.postgres_servers import CorpusDatabase, run_sql
from tests.support.site import MakeSite


@pytest.mark.parametrize("major", [15, 17])
def test_a_supabase_like_project_is_proven_with_its_roles(
    make_site: MakeSite, corpus_database: CorpusDatabase, major: int
) -> None:
    database = corpus_database("supabase_like", major=major)
    site = make_site()
    site.add_source("project", database, 'kind = "supabase"')
    made = site.goldcopy("backup", "project", "--json")
    assert made.exit_code == 0, made.stdout + made.stderr
    tested = site.goldcopy("restore-test", "project", "--json")
    assert tested.document["outcome"] == "passed", tested.stdout
    (manifest_path,) = site.repository_folder.rglob("manifest.json")
    manifest = json.loads(manifest_path.read_text())
    assert {"anon", "authenticated", "service_role", "supabase_auth_admin"} <= set(manifest["roles"])
    tables = {(table["schema"], table["name"]): table["rows"] for table in manifest["tables"]}
    assert tables["auth", "users"] == 500
    assert tables["public", "tasks"] == 20_000
    assert {"policies", "triggers", "publications", "event_triggers"} <= set(manifest["schema_digest"])


def test_the_transaction_pooler_is_refused_by_its_port(make_site: MakeSite) -> None:
    site = make_site()
    url = site.folder / "url.txt"
    url.write_text("postgresql://postgres.abc:secret-word@aws-0-eu-central-1.pooler.supabase.com:6543/postgres")
    with site.config_path.open("a") as config:
        config.write('\n[sources.project]\nurl = "file:url.txt"\nkind = "supabase"\n')
    refused = site.goldcopy("backup", "project", "--json")
    assert refused.exit_code == 3
    assert "6543" in refused.document["error"]["message"] + refused.document["error"]["hint"]
    assert "secret-word" not in refused.stdout + refused.stderr


def test_row_security_does_not_hide_rows_from_a_backup(make_site: MakeSite, corpus_database: CorpusDatabase) -> None:
    """The dump role owns nothing and may read everything, but has no BYPASSRLS: refused, never silently partial."""
    database = corpus_database("supabase_like")
    run_sql(database, "create role dumper login password 'dumper-secret'; grant pg_read_all_data to dumper")
    site = make_site(project=database)
    from tests.support.site import conninfo

    (site.folder / "project-url.txt").write_text(conninfo(database, user="dumper", password="dumper-secret"))
    refused = site.goldcopy("backup", "project", "--json")
    assert refused.exit_code == 3
    error = refused.document["error"]
    assert "row security" in error["message"]
    assert "BYPASSRLS" in error["hint"]
    checked = site.goldcopy("check", "project", "--json")
    assert checked.exit_code == 1
    assert any(finding["object"] == "public.tasks" for finding in checked.document["findings"])

"""The README's five minutes, driven from outside: one story per test."""

import json
from pathlib import Path

from shared.postgres.connection import DatabaseAddress
from tests.support.postgres_servers import PostgresServer, run_sql
from tests.support.site import MakeSite, Site, conninfo

TABLES = """
create table orders (id int primary key, customer text not null, total numeric);
insert into orders select g, 'customer ' || g, g / 7.0 from generate_series(1, 5000) g;
create table notes (id int references orders, body text);
insert into notes select g, repeat('x', g % 50) from generate_series(1, 300) g;
create index on notes (id);
"""


def test_a_backup_is_taken_proven_listed_verified_and_restored(
    make_site: MakeSite, database: DatabaseAddress, postgres_server: PostgresServer
) -> None:
    run_sql(database, TABLES)
    site = make_site(app=database)

    checked = site.goldcopy("check", "--json")
    assert (checked.exit_code, checked.document["ok"]) == (0, True), checked.stdout
    made = site.goldcopy("backup", "app", "--kind", "pre-deploy", "--reason", "release 41", "--json")
    assert made.exit_code == 0, made.stderr
    document = made.document
    assert (document["status"], document["kind"], document["row_count"]) == ("complete", "pre-deploy", 5300)
    assert document["new_bytes"] == document["stored_bytes"] > 0

    tested = site.goldcopy("restore-test", "app", "--json")
    assert tested.exit_code == 0, tested.stdout
    assert (tested.document["outcome"], tested.document["rows_proven"]) == ("passed", 5300)
    assert tested.document["recovery_time_seconds"] > 0
    assert {"fetch", "unseal", "restore_data", "restore_indexes", "prove"} <= set(tested.document["phases"])

    (row,) = site.goldcopy("backups", "--json").document["backups"]
    assert row["backup_id"] == document["backup_id"]
    assert row["proven_at"]
    shown = site.goldcopy("show", document["backup_id"][:15], "--json").document
    assert [test["outcome"] for test in shown["restore_tests"]] == ["passed"]
    assert site.goldcopy("verify", "--all", "--json").document["outcome"] == "passed"

    empty = postgres_server.new_database()
    site.environment["NEW_URL"] = conninfo(empty)
    restored = site.goldcopy("restore", document["backup_id"], "--to", "env:NEW_URL", "--json")
    assert restored.exit_code == 0, restored.stdout + restored.stderr
    assert run_sql(empty, "select count(*), sum(total) from orders") == run_sql(
        database, "select count(*), sum(total) from orders"
    )
    again = site.goldcopy("restore", document["backup_id"], "--to", "env:NEW_URL", "--json")
    assert again.exit_code == 3
    assert "not empty" in again.document["error"]["message"]


def test_what_did_not_change_is_not_stored_again(make_site: MakeSite, database: DatabaseAddress) -> None:
    run_sql(database, TABLES + "create table big as select g, md5(g::text) h from generate_series(1, 200000) g;")
    site = make_site(app=database)
    first = site.goldcopy("backup", "app", "--json").document
    unchanged = site.goldcopy("backup", "app", "--json").document
    assert unchanged["new_bytes"] < first["new_bytes"] / 100
    run_sql(database, "update notes set body = 'changed' where id = 7")
    changed = site.goldcopy("backup", "app", "--json").document
    assert 0 < changed["new_bytes"] < first["new_bytes"] / 10
    assert site.goldcopy("restore-test", "app", "--json").document["outcome"] == "passed"


def test_no_secret_is_in_anything_that_is_written(make_site: MakeSite, database: DatabaseAddress) -> None:
    run_sql(database, TABLES)
    site = make_site(app=database)
    made = site.goldcopy("backup", "app", "--json")
    tested = site.goldcopy("restore-test", "app", "--json")
    password = database.parameters["password"]
    assert password not in made.stdout + made.stderr + tested.stdout + tested.stderr
    private_key = next(line for line in site.identity_path.read_text().splitlines() if line.startswith("AGE-SECRET"))
    for path in _files_written(site):
        content = path.read_bytes()
        assert password.encode() not in content, path
        assert private_key.encode() not in content, path


def _files_written(site: Site) -> list[Path]:
    secrets = {site.identity_path, site.folder / "app-url.txt"}
    return [path for path in site.folder.rglob("*") if path.is_file() and path not in secrets]


def test_usage_errors_end_with_two_and_say_what_to_do(make_site: MakeSite, tmp_path: Path) -> None:
    site = make_site()
    unknown = site.goldcopy("backup", "nosuch", "--json")
    assert unknown.exit_code == 2
    assert unknown.document["error"]["hint"]
    assert site.goldcopy("backup", "--nonsense").exit_code == 2
    assert site.goldcopy("show", "20990101", "--json").exit_code == 2
    site.config_path.write_text('[repository]\nrecipients = ["age1x"]\nunknown = 1\n[sources.BAD]\nurl = 1\n')
    broken = site.goldcopy("backups", "--json")
    assert broken.exit_code == 2
    message = broken.document["error"]["message"]
    assert all(part in message for part in ("repository.unknown", "sources.BAD", "sources.BAD.url"))


def test_damage_and_failure_show_where_backups_are_listed(make_site: MakeSite, database: DatabaseAddress) -> None:
    run_sql(database, TABLES)
    site = make_site(app=database)
    assert "There are no backups yet" in site.goldcopy("backups").stdout
    made = site.goldcopy("backup", "app", "--json").document
    assert site.goldcopy("restore-test", "app").exit_code == 0
    stored = max((site.repository_folder / "sources").rglob("*.????????"), key=lambda path: path.stat().st_size)
    stored.write_bytes(stored.read_bytes()[:-1] + b"?")
    assert site.goldcopy("verify").exit_code == 1
    assert "DAMAGED since" in site.goldcopy("backups").stdout
    assert "DAMAGED since" in site.goldcopy("show", made["backup_id"]).stdout
    (site.folder / "app-url.txt").write_text(conninfo(database, port="1"))
    assert site.goldcopy("backup", "app").exit_code == 3
    (failed,) = [row for row in site.goldcopy("backups", "--json").document["backups"] if row["status"] == "failed"]
    assert "nothing accepts connections" in site.goldcopy("show", failed["backup_id"]).stdout
    (site.folder / ".goldcopy" / "catalog.db").unlink()
    assert "goldcopy rebuild-catalog" in site.goldcopy("backups").stdout


def test_init_never_overwrites(make_site: MakeSite) -> None:
    site = make_site()
    before = site.identity_path.read_text()
    again = site.goldcopy("init", "--json")
    assert again.exit_code == 2
    assert site.identity_path.read_text() == before
    assert json.loads(again.stdout)["error"]["message"]

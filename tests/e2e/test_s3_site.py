"""A site whose repository is a real S3 server: the whole job, and what an operator meets when it is set up wrongly."""

from shared.postgres.connection import DatabaseAddress
from tests.support.postgres_servers import run_sql
from tests.support.s3_server import S3Credentials, S3Place
from tests.support.site import MakeSite, Site


def on_s3(site: Site, place: S3Place, credentials: S3Credentials, *, bucket: str = "") -> None:
    site.environment.update(S3_KEY=credentials.access_key, S3_SECRET=credentials.secret_key)
    site.change(
        'url = "file://.goldcopy/repository"',
        f'url = "s3://{bucket or place.bucket}/{place.prefix}"\nendpoint_url = "{place.server.endpoint_url}"\n'
        'access_key_id = "env:S3_KEY"\nsecret_access_key = "env:S3_SECRET"\n#',
    )


def test_the_whole_job_on_s3(make_site: MakeSite, database: DatabaseAddress, s3_place: S3Place) -> None:
    run_sql(database, "create table t as select g, md5(g::text) h from generate_series(1, 400000) g")
    site = make_site(app=database)
    on_s3(site, s3_place, s3_place.server.writer)
    checked = site.goldcopy("check", "--json")
    assert checked.exit_code == 0, checked.stdout
    made = site.goldcopy("backup", "app", "--json")
    assert made.exit_code == 0, made.stderr
    assert site.goldcopy("restore-test", "app", "--json").document["outcome"] == "passed"
    assert site.goldcopy("verify", "--all", "--json").document["outcome"] == "passed"
    assert site.goldcopy("backup", "app", "--json").document["new_bytes"] < made.document["new_bytes"] / 50
    assert site.goldcopy("cleanup", "--dry-run", "--json").exit_code == 0
    assert site.goldcopy("audit", "--json").exit_code == 0
    (site.folder / ".goldcopy" / "catalog.db").unlink()
    assert site.goldcopy("rebuild-catalog", "--json").document["backups"] == 2
    assert s3_place.server.writer.secret_key not in made.stdout + made.stderr + checked.stdout


def test_a_missing_bucket_and_missing_rights_are_named(
    make_site: MakeSite, database: DatabaseAddress, s3_place: S3Place
) -> None:
    run_sql(database, "create table t as select 1 a")
    missing = make_site("missing", app=database)
    on_s3(missing, s3_place, s3_place.server.writer, bucket="no-such-bucket-here")
    error = missing.goldcopy("backup", "app", "--json")
    assert error.exit_code == 3
    assert "no-such-bucket-here" in error.document["error"]["message"]
    reader = make_site("reader", app=database)
    on_s3(reader, s3_place, s3_place.server.reader)
    error = reader.goldcopy("backup", "app", "--json")
    assert error.exit_code == 3
    assert error.document["error"]["hint"]
    assert s3_place.server.reader.secret_key not in error.stdout + error.stderr
    wrong = make_site("wrong", app=database)
    on_s3(wrong, s3_place, S3Credentials(s3_place.server.writer.access_key, "wrong-secret"))
    assert wrong.goldcopy("backup", "app", "--json").exit_code == 3
    dead = make_site("dead", app=database)
    on_s3(dead, s3_place, s3_place.server.writer)
    dead.change(s3_place.server.endpoint_url, "http://127.0.0.1:9")
    checked = dead.goldcopy("check", "--json")
    assert checked.exit_code == 3, checked.stdout
    assert {item["check"] for item in checked.document["not_measured"]} >= {"repository"}

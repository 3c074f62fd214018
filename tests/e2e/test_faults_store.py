"""Disks and buckets that are full, read-only or forbid something: said in a sentence, and nothing half-done counts."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.clock import wait
from shared.domain.backup import BackupKind
from shared.postgres.connection import DatabaseAddress
from tests.e2e.test_s3_site import on_s3
from tests.support.faults import left_in_scratch, no_leak, read_only, refused, run_states, small_disk
from tests.support.postgres_servers import run_sql
from tests.support.s3_server import S3Place
from tests.support.site import MakeSite, Site
from tests.support.tcp_proxy import TcpProxy

ROWS = "create table big as select g, md5(g::text) h, repeat(md5((g * 7)::text), 8) t from generate_series(1, 120000) g"
EXPIRES_ALL_BUT_ONE = "retention = { manual = { minimum_count = 1 } }"


def site_with_two_backups(make_site: MakeSite, database: DatabaseAddress) -> Site:
    """The older of two differs in a table, and the policy lets it go."""
    site = make_site()
    site.add_source("app", database, EXPIRES_ALL_BUT_ONE)
    back_up_twice(site, database)
    return site


def back_up_twice(site: Site, database: DatabaseAddress) -> None:
    run_sql(database, "create table t as select 1 as a")
    with site.open() as workspace:
        workspace.back_up("app", BackupKind.MANUAL)
        run_sql(database, "insert into t values (2)")
        workspace.back_up("app", BackupKind.MANUAL)
        assert workspace.run_restore_test("app").document()["outcome"] == "passed"


def test_a_scratch_disk_that_runs_full_during_the_dump_is_named(
    make_site: MakeSite,
    database: DatabaseAddress,
    tcp_proxy: Callable[[DatabaseAddress], TcpProxy],
    tmp_path: Path,
) -> None:
    run_sql(database, ROWS)
    proxy = tcp_proxy(database)
    with small_disk(tmp_path / "small", "220m") as disk:
        site = make_site(app=proxy.through(database))
        site.config_path.write_text(site.config_path.read_text() + f'\n[scratch]\nfolder = "{disk}"\n')
        proxy.slow(8_000_000)
        filler = threading.Thread(target=_fill_when_a_dump_is_there, args=(disk,))
        filler.start()
        ended = site.goldcopy("backup", "app", "--json")
        filler.join()
        proxy.resume()
        error = refused(site, ended, 3, str(disk), kind="SpaceExhausted")
        assert "full" in error["message"], error
        assert [path.name for path in disk.iterdir()] == ["somebody else's"]
        (disk / "somebody else's").unlink()
        assert site.goldcopy("backup", "app", "--json").exit_code == 0
    assert run_states(site) == [("backup", "failed"), ("backup", "done")]


def _fill_when_a_dump_is_there(disk: Path) -> None:
    for _ in range(3000):
        if list(disk.glob("dump-*")):
            (disk / "somebody else's").write_bytes(b"x" * (200 << 20))
            return
        wait(0.005)


def test_a_scratch_folder_that_cannot_be_written_is_named(
    make_site: MakeSite, database: DatabaseAddress, tmp_path: Path
) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir()
    site = make_site(app=database)
    site.config_path.write_text(site.config_path.read_text() + f'\n[scratch]\nfolder = "{folder}"\n')
    with read_only(folder):
        refused(site, site.goldcopy("backup", "app", "--json"), 3, str(folder), "Read-only")


def test_a_repository_that_cannot_be_written_is_named_and_still_verifies(
    make_site: MakeSite, database: DatabaseAddress
) -> None:
    site = site_with_two_backups(make_site, database)
    with read_only(site.repository_folder):
        error = refused(site, site.goldcopy("backup", "app", "--json"), 3, str(site.repository_folder))
        assert "ead-only" in error["message"] + error["hint"], error
        verified = site.goldcopy("verify", "--all", "--json")
        no_leak(site, verified)
        assert (verified.exit_code, verified.document["outcome"]) == (0, "passed"), verified.stdout + verified.stderr
        cleaned = site.goldcopy("cleanup", "--json")
        no_leak(site, cleaned)
        assert cleaned.exit_code in (1, 3), cleaned.stdout
        assert len(list(site.repository_folder.rglob("manifest.json"))) == 2
        checked = site.goldcopy("check", "--json")
        no_leak(site, checked)
        assert checked.exit_code == 1, checked.stdout
        assert {finding["check"] for finding in checked.document["findings"]} >= {"repository"}
    assert left_in_scratch(site) == []
    again = site.goldcopy("cleanup", "--json")
    assert again.exit_code == 0, again.stdout
    assert len(list(site.repository_folder.rglob("manifest.json"))) == 1
    with site.open() as workspace:
        assert workspace.verify().document()["outcome"] == "passed"
        audited = workspace.audit().document()
    assert (audited["missing"], audited["orphans"]) == ([], [])


def test_a_disk_of_the_catalog_that_cannot_be_written_is_named(make_site: MakeSite, database: DatabaseAddress) -> None:
    site = make_site(app=database)
    (site.folder / "records").mkdir()
    site.change("sqlite:///.goldcopy/catalog.db", "sqlite:///records/catalog.db")
    with site.open() as workspace:
        workspace.list_backups()
    with read_only(site.folder / "records"):
        error = refused(site, site.goldcopy("backup", "app", "--json"), 3, kind="CatalogRefused")
    assert "catalog" in error["message"], error
    assert not list(site.repository_folder.rglob("manifest.json"))


def test_cleanup_on_a_real_s3_server_frees_what_nobody_names(
    make_site: MakeSite, database: DatabaseAddress, s3_place: S3Place
) -> None:
    site = make_site()
    site.add_source("app", database, EXPIRES_ALL_BUT_ONE)
    on_s3(site, s3_place, s3_place.server.writer)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in site.environment.items():
            patch.setenv(name, value)
        back_up_twice(site, database)
        site.environment.update(S3_KEY=s3_place.server.reader.access_key, S3_SECRET=s3_place.server.reader.secret_key)
        forbidden = site.goldcopy("cleanup", "--json")
        no_leak(site, forbidden)
        assert forbidden.exit_code in (1, 3), forbidden.stdout
        assert s3_place.server.reader.secret_key not in forbidden.stdout + forbidden.stderr
        assert len(_manifests(s3_place)) == 2
        with site.open() as workspace:
            cleaned = workspace.clean_up().document()
            assert len(cleaned["expired"]) == 1, cleaned
            assert cleaned["freed_bytes"] > 0
            assert workspace.verify().document()["outcome"] == "passed"
            audited = workspace.audit().document()
        assert (audited["missing"], audited["orphans"], audited["drifted"]) == ([], [], [])
        assert len(_manifests(s3_place)) == 1


def _manifests(place: S3Place) -> list[str]:
    return [found.key for found in place.store().list("sources/") if found.key.endswith("manifest.json")]

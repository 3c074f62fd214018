"""A source from its first day: red without a backup, yellow unproven, green proven, red when the repository is gone."""

from shared.postgres.connection import DatabaseAddress
from tests.support.postgres_servers import run_sql
from tests.support.site import Ended, MakeSite


def story_of(ended: Ended) -> tuple[int, str, set[str]]:
    """Exit code, health and what is not green."""
    [source] = ended.document["sources"]
    return (
        ended.exit_code,
        source["health"],
        {reason["code"] for reason in source["reasons"] if reason["colour"] != "green"},
    )


def test_a_source_becomes_green_by_being_proven(make_site: MakeSite, database: DatabaseAddress) -> None:
    run_sql(database, "create table orders as select g id from generate_series(1, 1000) g")
    site = make_site(app=database)
    assert story_of(site.goldcopy("status", "--json")) == (1, "red", {"no-backup"})

    assert site.goldcopy("backup", "app").exit_code == 0
    assert story_of(site.goldcopy("status", "--json")) == (0, "yellow", {"never-proven"})

    assert site.goldcopy("restore-test", "app").exit_code == 0
    ended = site.goldcopy("status", "--probe", "--json")
    assert story_of(ended) == (0, "green", set())
    [source] = ended.document["sources"]
    assert source["exposure_seconds"] == source["proven_exposure_seconds"] < 600
    assert source["recovery_prediction"]["tests"] == 1
    assert source["lost_rows"] == 0

    checked = site.goldcopy("check", "app", "--json").document
    [finding] = [item for item in checked["findings"] if item["check"] == "detection-latency"]
    assert (finding["object"], finding["severity"]) == ("app", "warning")
    assert "retention.weekly of app" in finding["hint"]

    site.repository_folder.rename(site.folder / "elsewhere")
    assert story_of(site.goldcopy("status", "--probe", "--json")) == (1, "red", {"repository-unreachable"})
    # What the watch has found out is remembered: nobody needs to ask again.
    assert site.goldcopy("watch").exit_code in {0, 1}
    assert story_of(site.goldcopy("status", "--json")) == (1, "red", {"repository-unreachable"})


def test_a_lost_catalog_is_no_repository_without_backups(make_site: MakeSite, database: DatabaseAddress) -> None:
    site = make_site(app=database)
    assert site.goldcopy("backup", "app").exit_code == 0
    for file in (site.folder / ".goldcopy").glob("catalog.db*"):
        file.unlink()
    assert "the catalog was lost or replaced" in site.goldcopy("watch").stdout
    assert story_of(site.goldcopy("status", "--probe", "--json")) == (1, "red", {"catalog-lost"})
    [source] = site.goldcopy("status", "--json").document["sources"]  # nobody looked
    assert "`goldcopy rebuild-catalog`" in source["reasons"][0]["action"]
    assert site.goldcopy("rebuild-catalog").exit_code == 0
    assert story_of(site.goldcopy("status", "--probe", "--json")) == (0, "yellow", {"never-proven"})

"""A backup that is killed, one that works, a copy that does not restore: what people read, and the monitor hears."""

import signal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from shared.postgres.connection import DatabaseAddress
from tests.support.faults import await_true, end
from tests.support.postgres_servers import run_sql
from tests.support.site import MakeSite, Site
from tests.support.smtp_server import PASSWORD, USER, MailBox
from tests.support.web_services import WebServices

pytestmark = [
    pytest.mark.usefixtures("trusted"),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc"),
]


def _configure(site: Site, mailbox: MailBox) -> None:
    (site.folder / "mail-url.txt").write_text(
        f"mailtos://{USER}:{quote(PASSWORD, safe='')}@localhost:{mailbox.port}/?smtp=localhost&mode=starttls"
        "&from=goldcopy@acme.example&to=ops@acme.example"
    )
    with site.config_path.open("a") as config:
        config.write(
            '\n[channels.mail]\nurl = "file:mail-url.txt"\nseverity = "critical"\n'
            '\n[channels.hook]\nurl = "jsons://hook.example/notices"\n'
            '\n[watch]\ndead_mans_switch = "https://hook.example/ping/7f3a"\n'
        )


def _watch(site: Site, *, exit_code: int = 0) -> dict[str, Any]:
    ended = site.goldcopy("watch", "--json")
    assert ended.exit_code == exit_code, ended.stderr
    return ended.document


def _events(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(notice["event"], notice["severity"]) for notice in document["notices"]]


def test_people_hear_of_a_killed_backup_of_a_good_one_and_of_a_copy_that_does_not_restore(
    make_site: MakeSite, database: DatabaseAddress, mailbox: MailBox, services: WebServices
) -> None:
    run_sql(database, "create table orders as select g id, repeat(md5(g::text), 20) t from generate_series(1, 60000) g")
    site = make_site(app=database)
    _configure(site, mailbox)
    first = _watch(site)
    assert [item["source"] for item in first["transitions"]] == ["", "app"]
    assert _events(first) == [("health-changed", "critical")], "there is no backup at all"

    process = site.start("backup", "app")
    await_true("the dump", lambda: list(site.folder.glob(".goldcopy/scratch/dump-*/files/*.dat")) or process.poll())
    end(process, signal.SIGKILL)
    killed = _watch(site)
    assert killed["lost_runs"] == ["backup of app"]
    assert _events(killed) == [("backup-failed", "critical")]
    assert _watch(site)["notices"] == [], "nothing is told twice"

    assert site.goldcopy("backup", "app").exit_code == 0
    completed = _watch(site)
    [title] = [notice["title"] for notice in completed["notices"] if notice["event"] == "backup-completed"]
    assert "1 table" in title
    assert site.goldcopy("restore-test", "app").exit_code == 0
    proven = _watch(site)
    assert ("restore-test-passed", "info") in _events(proven)
    assert ("recovered", "info") in _events(proven)

    for path in site.repository_folder.glob("sources/app/objects/*/*"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    assert site.goldcopy("restore-test", "app").exit_code == 1
    failed = _watch(site)
    assert ("restore-test-failed", "critical") in _events(failed)
    incidents = site.goldcopy("incidents", "--json").document["incidents"]
    assert [(item["source"], item["colour"]) for item in incidents] == [("app", "red")]
    taken = site.goldcopy("ack", "app", "--reason", "a new backup is running", "--by", "ada", "--json").document
    assert taken["incidents"] == [incidents[0]["id"]]
    [incident] = site.goldcopy("incidents", "--json").document["incidents"]
    assert (incident["acknowledged_by"], incident["acknowledged_reason"]) == ("ada", "a new backup is running")

    subjects = [str(message["Subject"]) for _, message in mailbox.sent]
    assert any("Backup of app FAILED" in subject for subject in subjects)
    assert any("Restore test of app FAILED" in subject for subject in subjects)
    assert not any("completed" in subject for subject in subjects), "mail gets only what is critical"
    assert any("green again" in subject for subject in subjects), "who heard of the trouble hears of its end"
    hooks = [request.json["key"] for request in services.taken if request.path == "/notices"]
    assert len(hooks) == len(set(hooks)) >= 6
    pings = [request.path for request in services.taken if request.path.startswith("/ping/")]
    assert pings == ["/ping/7f3a/start", "/ping/7f3a"] * 6


def test_monitor_hears_that_a_watch_failed_and_that_nobody_could_be_told(
    make_site: MakeSite, database: DatabaseAddress, services: WebServices
) -> None:
    site = make_site(app=database)
    with site.config_path.open("a") as config:
        config.write('\n[watch]\ndead_mans_switch = "https://hook.example/ping/7f3a"\n')
    assert _watch(site, exit_code=1)["deliveries"] == []
    assert services.taken[-1].path == "/ping/7f3a/fail"
    assert "nobody could be told" in services.taken[-1].body.decode()
    (site.folder / ".goldcopy" / "catalog.db").write_bytes(b"this is no catalog " * 1000)
    assert site.goldcopy("watch", "--json").exit_code == 3
    assert services.taken[-1].path == "/ping/7f3a/fail"
    assert "catalog" in services.taken[-1].body.decode()


def test_check_says_when_no_monitor_is_configured(make_site: MakeSite, database: DatabaseAddress) -> None:
    site = make_site(app=database)
    site.goldcopy("backup", "app")
    findings = site.goldcopy("check", "--json").document["findings"]
    assert "watch.dead_mans_switch" in [finding["object"] for finding in findings]

"""What the app decides without a browser: age of the facts, host names, roles, limits, archives, sentences."""

from dataclasses import replace
from datetime import timedelta

import pytest

from monitor_app.asgi import allowed_hosts, refuse_to_be_open
from monitor_app.components.backups import history_finding
from monitor_app.downloads import archive
from monitor_app.freshness import LastSigns, judge
from monitor_app.guard import host_name, is_loopback
from monitor_app.rate_limit import RateLimit
from shared.catalog.records import DayRow
from shared.config.model import AppSection, SignInSection
from shared.domain.api_key import digest_of, is_key, key_of
from shared.domain.person import Role
from shared.errors import ConfigInvalid
from tests.support.catalogs import NOW

HOUR = timedelta(hours=1)
SIGN_IN = SignInSection(metadata_url="https://id", client_id="a", client_secret="b", cookie_secret="c")


def test_facts_are_fresh_until_they_are_older_than_agreed() -> None:
    signs = LastSigns(watched_at=NOW, run_at=None)
    assert not judge(signs, NOW + HOUR, HOUR).is_stale
    stale = judge(signs, NOW + HOUR + timedelta(seconds=1), HOUR)
    assert stale.is_stale
    assert "goldcopy up" in stale.sentence


def test_a_click_in_the_app_does_not_make_old_facts_new() -> None:
    assert judge(LastSigns(watched_at=NOW - 5 * HOUR, run_at=NOW), NOW, HOUR).is_stale


def test_without_a_watch_the_last_write_counts_and_an_empty_catalog_is_not_old() -> None:
    assert judge(LastSigns(watched_at=None, run_at=NOW - 2 * HOUR), NOW, HOUR).is_stale
    assert judge(LastSigns(watched_at=None, run_at=None), NOW, HOUR).at is None
    assert not judge(LastSigns(watched_at=None, run_at=None), NOW, HOUR).is_stale


def test_facts_of_a_time_to_come_are_of_no_known_age() -> None:
    for signs in (LastSigns(watched_at=NOW + 8760 * HOUR, run_at=NOW), LastSigns(watched_at=None, run_at=NOW + HOUR)):
        found = judge(signs, NOW, HOUR)
        assert found.is_stale
        assert "clock was wrong" in found.sentence
    assert not judge(LastSigns(watched_at=NOW + timedelta(minutes=1), run_at=None), NOW, HOUR).is_stale


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "backups.example.com"])
def test_app_refuses_to_be_open_to_others(host: str) -> None:
    with pytest.raises(ConfigInvalid, match="open to everybody"):
        refuse_to_be_open(AppSection(), host)
    refuse_to_be_open(AppSection(url="https://backups.example.com", sign_in=SIGN_IN), host)


def test_app_refuses_names_from_outside_without_sign_in_even_on_loopback() -> None:
    # A proxy on the same machine would open it to the world.
    with pytest.raises(ConfigInvalid, match="open to everybody"):
        refuse_to_be_open(AppSection(allowed_hosts=["backups.example.com"]), "127.0.0.1")
    with pytest.raises(ConfigInvalid, match="open to everybody"):
        refuse_to_be_open(AppSection(url="https://backups.example.com"), "127.0.0.1")
    refuse_to_be_open(AppSection(), "127.0.0.1")


def test_sign_in_needs_the_address_to_come_back_to() -> None:
    with pytest.raises(ConfigInvalid, match=r"app\.url is missing"):
        refuse_to_be_open(AppSection(sign_in=SIGN_IN), "127.0.0.1")


def test_allowed_hosts_are_the_machines_own_and_the_configured_ones() -> None:
    settings = AppSection(url="https://backups.example.com", allowed_hosts=["other.example"], sign_in=SIGN_IN)
    hosts = allowed_hosts(settings, "0.0.0.0")
    assert hosts == ["127.0.0.1", "::1", "backups.example.com", "localhost", "other.example"]


def test_host_headers_are_read_with_ports_and_brackets() -> None:
    headers = ["Example.COM:8501", "[::1]:80", "localhost", "a.b."]
    assert [host_name(header) for header in headers] == ["example.com", "::1", "localhost", "a.b"]
    assert [is_loopback(host) for host in ("127.0.0.9", "[::1]", "localhost", "localhost.evil.com", "1.2.3.4")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_roles_are_ordered() -> None:
    assert [Role.VIEWER.may(role) for role in Role] == [True, False, False]
    assert [Role.OPERATOR.may(role) for role in Role] == [True, True, False]
    assert [Role.ADMIN.may(role) for role in Role] == [True, True, True]


def test_rate_limit_slides_and_counts_everybody_alone() -> None:
    limit = RateLimit(2)
    assert [limit.admit("a", at) for at in (0.0, 10.0)] == [0, 0]
    assert limit.admit("a", 20.0) == 40
    assert limit.admit("b", 20.0) == 0
    assert limit.admit("a", 60.0) == 0


def test_keys_have_a_form_and_only_their_digest_is_kept() -> None:
    key = key_of(bytes(range(32)))
    assert is_key(key)
    assert not is_key(key[:-1])
    assert key not in digest_of(key)
    with pytest.raises(ValueError, match="32"):
        key_of(b"short")


def test_recovery_kit_depends_on_its_content_only() -> None:
    files = {"recover.sh": b"#!/bin/sh\n", "manifest.json": b"{}"}
    assert archive(files, NOW) == archive(dict(reversed(files.items())), NOW)


def test_history_says_what_it_found() -> None:
    days = (DayRow(day=NOW.date(), ok=89, failed=4),)
    listed = "listed, expired ones left out"
    assert history_finding("120", days, 30, is_filtered=False) == f"4 of 93 attempts failed in 30 days; 120 {listed}"
    assert history_finding("3", days, 30, is_filtered=True) == "3 match the filter"
    assert history_finding("3", (), 30, is_filtered=False) == f"No backup was attempted in 30 days; 3 {listed}"
    well = [replace(day, failed=0) for day in days]
    assert history_finding("1", tuple(well), 30, is_filtered=False).startswith("None of 89 attempts failed in 30 days")

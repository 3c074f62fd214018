"""Every notice as it is read, compared with golden files, and what all of them have in common."""

import re
from datetime import datetime, timedelta

import pytest

from shared.domain.channel import Channel
from shared.domain.health_reason import Colour
from shared.domain.notice import Notice, NoticeEvent, NoticeSeverity, read_notice
from shared.domain.notice_digest import Digest, weekly_digest
from shared.domain.notice_health import health_changed
from shared.domain.notice_texts import backup_completed, backup_failed
from shared.domain.notice_words import Protection, age, cut_fact, first_words, page_links
from shared.notices.wording import commands
from tests.support.notice_examples import BACKUP, DIGEST, FAILED, GOLDEN, MANY, NOW, examples, golden_files

EXAMPLES = examples()
TROUBLE = [name for name, notice in EXAMPLES.items() if notice.severity is not NoticeSeverity.INFO]


def test_every_event_has_an_example() -> None:
    assert {notice.event for notice in EXAMPLES.values()} == set(NoticeEvent)


def test_golden_files_are_current() -> None:
    stored = {path.name: path.read_text("utf-8") for path in GOLDEN.iterdir()}
    assert stored == golden_files(), "python -m tests.support.notice_examples"


@pytest.mark.parametrize("notice", EXAMPLES.values(), ids=EXAMPLES)
def test_notice_survives_its_document(notice: Notice) -> None:
    assert read_notice(notice.document()) == notice


@pytest.mark.parametrize("name", TROUBLE)
def test_trouble_says_what_it_means_and_what_to_do_with_a_command(name: str) -> None:
    notice = EXAMPLES[name]
    assert notice.impact
    assert any(is_command and piece.startswith("goldcopy ") for piece, is_command in commands(notice.action))


@pytest.mark.parametrize("notice", EXAMPLES.values(), ids=EXAMPLES)
def test_every_time_of_day_names_its_zone(notice: Notice) -> None:
    text = " ".join(
        [notice.title, notice.impact, notice.action, *notice.findings, *(value for _, value in notice.facts)]
    )
    assert not re.search(r"\d\d:\d\d(?!\d| UTC|:)", text.replace("example:5432", ""))


@pytest.mark.parametrize("notice", EXAMPLES.values(), ids=EXAMPLES)
def test_title_is_one_line_that_names_its_object(notice: Notice) -> None:
    assert "\n" not in notice.title
    assert notice.source in notice.title
    assert len(notice.title) <= 200


def test_success_reads_as_agreed() -> None:
    assert backup_completed(BACKUP).title == "Backup of app completed: 1.2 GB, 28 tables, 5.2 s, proven 03:10 UTC"


def test_failure_without_any_backup_says_that_all_is_lost() -> None:
    nothing = Protection(newest_at=None, proven_at=None, rpo=timedelta(hours=24))
    assert backup_failed(FAILED, nothing).impact == (
        "There is no complete backup: if the database is lost now, all of it is lost."
    )


def test_impact_counts_the_hours_that_are_left() -> None:
    protection = Protection(newest_at=NOW - timedelta(hours=20), proven_at=None, rpo=timedelta(hours=24))
    assert "20 h of data" in protection.sentence(NOW)
    assert "reached in 4 h" in protection.sentence(NOW)
    assert "No backup is proven yet" in protection.sentence(NOW)


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(seconds=-5), "less than a minute"),
        (timedelta(minutes=1), "1 min"),
        (timedelta(minutes=59), "59 min"),
        (timedelta(minutes=59, seconds=45), "1 h"),
        (timedelta(hours=26, minutes=20), "26 h"),
        (timedelta(hours=26, minutes=50), "27 h"),
        (timedelta(hours=95, minutes=40), "4 d"),
        (timedelta(hours=96), "4 d"),
    ],
)
def test_ages_are_told_in_hours(length: timedelta, words: str) -> None:
    assert age(length) == words


def test_long_error_is_cut_in_the_title_and_whole_in_the_facts() -> None:
    error = "first line " * 20 + "\nsecond line"
    assert len(first_words(error)) <= 120
    assert cut_fact("Error", error) == (("Error", error.strip()),)
    assert cut_fact("Error", "short") == ()


def test_many_sources_with_one_reason_are_one_notice_that_names_each() -> None:
    notice = health_changed(MANY, Colour.GREEN, NOW, key="k")
    assert notice.source == ""
    assert notice.title.startswith("3 sources are RED")
    assert [finding.split(":")[0] for finding in notice.findings] == ["app", "billing", "crm"]
    assert "Worst is crm" in notice.impact


def test_digest_of_a_thousand_sources_is_of_bounded_length() -> None:
    line = DIGEST.lines[0]
    digest = Digest(begins_at=DIGEST.begins_at, ends_at=NOW, lines=(line,) * 1000)
    notice = weekly_digest(digest)
    assert notice.title == "Backups this week: 1,000 sources and all green"
    assert len(notice.findings) == 501
    assert notice.findings[-1] == "and 500 sources more"


def test_digest_without_sources_says_that_nothing_is_protected() -> None:
    notice = weekly_digest(Digest(begins_at=NOW, ends_at=NOW, lines=()))
    assert notice.impact == "Nothing is protected."


def test_links_are_left_out_where_nothing_is_known() -> None:
    assert page_links("") == ()
    assert page_links("https://x.example/", "a b&c") == (
        ("Open Goldcopy", "https://x.example/source?source=a%20b%26c"),
    )


class TestChannelWants:
    """Which notices a channel gets."""

    def test_its_events_only(self) -> None:
        channel = Channel(name="x", url="", events=frozenset({NoticeEvent.BACKUP_FAILED}))
        assert [name for name, notice in EXAMPLES.items() if channel.wants(notice)] == [
            "backup-failed",
            "canary",
            "test",
        ]

    def test_what_is_severe_enough_and_the_end_of_trouble(self) -> None:
        channel = Channel(name="x", url="", severity=NoticeSeverity.CRITICAL)
        wanted = {notice.event for notice in EXAMPLES.values() if channel.wants(notice)}
        assert NoticeEvent.RECOVERED in wanted
        assert NoticeEvent.BACKUP_SLOW not in wanted
        assert NoticeEvent.BACKUP_FAILED in wanted

    def test_url_is_never_printed(self) -> None:
        assert "hunter2" not in repr(Channel(name="x", url="mailtos://me:hunter2@x.example"))


def test_document_of_another_format_is_refused() -> None:
    document = EXAMPLES["canary"].document() | {"format": 2}
    with pytest.raises(ValueError, match="format 2"):
        read_notice(document)


def test_instants_of_a_notice_are_aware() -> None:
    assert all(isinstance(notice.at, datetime) and notice.at.tzinfo for notice in EXAMPLES.values())

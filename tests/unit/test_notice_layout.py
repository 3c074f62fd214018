"""What every layout does to words of others, and how failures are judged: pure, over any text there is."""

import ssl
from email.utils import format_datetime
from html.parser import HTMLParser
from smtplib import SMTPDataError, SMTPRecipientsRefused, SMTPServerDisconnected
from socket import gaierror
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.channel import DeliveryState
from shared.domain.notice import Notice, NoticeEvent, NoticeSeverity
from shared.notices.discord_message import discord_message
from shared.notices.failures import LONGEST_WAIT_SECONDS, of_exception, of_status, retry_after_seconds
from shared.notices.html import html_mail
from shared.notices.plain import plain_text, short_text
from shared.notices.slack_message import slack_message
from shared.notices.wording import CUT, clean, commands, shorten, tidy
from tests.support import discord_rules, slack_rules
from tests.support.notice_examples import NOW

# Any character, half surrogates included, and often those that mean something somewhere.
WORDS = st.text(max_size=300) | st.text(alphabet="<>&*_~`|[]()@#!:/\\\n\r\t\u202e\u2028\ud800abc ", max_size=300)
PAIRS = st.lists(st.tuples(WORDS, WORDS), max_size=30).map(tuple)
NOTICES = st.builds(
    Notice,
    key=st.just("k"),
    event=st.sampled_from(NoticeEvent),
    severity=st.sampled_from(NoticeSeverity),
    source=WORDS,
    title=WORDS,
    at=st.just(NOW),
    facts=PAIRS,
    impact=WORDS,
    action=WORDS,
    findings=st.lists(WORDS, max_size=60).map(tuple),
    links=PAIRS,
)


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


class Tags(HTMLParser):
    """Collects the tags and links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]
        assert not [name for name, _ in attrs if name.startswith("on")]


@given(notice=NOTICES)
@settings(max_examples=60, deadline=None)
def test_slack_takes_any_words_and_acts_on_none(notice: Notice) -> None:
    message = slack_message(notice)
    assert slack_rules.complaint(message) == ""
    for text in strings(message):
        text.encode()
        assert all(found.startswith(("http://", "https://")) for found in slack_rules.mentions(text))


@given(notice=NOTICES)
@settings(max_examples=60, deadline=None)
def test_discord_takes_any_words_and_mentions_nobody(notice: Notice) -> None:
    message = discord_message(notice)
    assert discord_rules.complaint(message) == ""
    assert message["allowed_mentions"] == {"parse": []}
    for text in strings(message):
        text.encode()
        assert "@everyone" not in text
        assert "@here" not in text


@given(notice=NOTICES)
@settings(max_examples=60, deadline=None)
def test_html_holds_no_tag_and_no_link_of_others(notice: Notice) -> None:
    page = Tags()
    page.feed(html_mail(notice))
    known = {
        "html",
        "head",
        "meta",
        "title",
        "body",
        "table",
        "tr",
        "td",
        "div",
        "h1",
        "strong",
        "code",
        "ul",
        "li",
        "a",
    }
    assert page.tags <= known
    assert all(link.startswith(("http://", "https://")) for link in page.links)


@given(notice=NOTICES, limit=st.integers(min_value=20, max_value=2000))
@settings(max_examples=60, deadline=None)
def test_short_text_keeps_its_limit_and_plain_text_its_lines(notice: Notice, limit: int) -> None:
    assert len(short_text(notice, limit)) <= limit
    text = plain_text(notice)
    text.encode()
    assert all(char.isprintable() or char == "\n" for char in text)


@given(text=WORDS, limit=st.integers(min_value=1, max_value=400))
def test_cutting_keeps_the_limit_and_is_seen(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert len(short) <= limit
    if len(text) > limit > 2 * len(CUT):
        assert short.endswith(CUT)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://app:hunter2@db.example/app", "postgresql://app:***@db.example/app"),
        ("https://user:p:w@x.example", "https://user:***@x.example"),
        ("password='hunter 2' host=db", "password=*** host=db"),
        ("PGPASSWORD=hunter2", "PGPASSWORD=***"),
        ("api_token = abc", "api_token = ***"),
        ("the table token holds 12 rows", "the table token holds 12 rows"),
        ("a\tb\n\nc\x00", "a b c\\u0000"),
        ("\u202egpj.exe\U000e0001", "\\u202egpj.exe\\U000e0001"),
    ],
)
def test_what_is_no_ordinary_text_is_shown_or_hidden(text: str, shown: str) -> None:
    assert clean(text, 300) == shown


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("run `a b` now", [("run ", False), ("a b", True), (" now", False)]),
        ("one ` alone", [("one ' alone", False)]),
        ("`a` and ` b", [("a", True), (" and ' b", False)]),
        ("", []),
    ],
)
def test_commands_are_found_between_backticks(text: str, pieces: list[tuple[str, bool]]) -> None:
    assert commands(text) == pieces


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "https://",
        "https://u:p@x.example",
        "https://x.example/a b",
        "ftp://x.example",
        "https://[x",
    ],
)
def test_what_is_no_web_address_is_no_link(url: str) -> None:
    notice = Notice(
        key="k",
        event=NoticeEvent.TEST,
        severity=NoticeSeverity.INFO,
        source="",
        title="t",
        at=NOW,
        links=(("x", url), ("y", "https://y.example/?a=1&b=2")),
    )
    assert tidy(notice).links == (("y", "https://y.example/?a=1&b=2"),)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("30", 30.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("999999999", LONGEST_WAIT_SECONDS),
        ("nan", None),
        ("inf", LONGEST_WAIT_SECONDS),
        (format_datetime(NOW.replace(minute=14), usegmt=True), 120.0),
        (format_datetime(NOW.replace(minute=10), usegmt=True), 0.0),
        ("soon", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date_on_the_servers_own_clock(
    header: str | None, seconds: float | None
) -> None:
    assert retry_after_seconds(header, format_datetime(NOW, usegmt=True)) == seconds


@pytest.mark.parametrize("status", range(200, 600))
def test_every_status_has_a_verdict(status: int) -> None:
    state = of_status("Slack", status).state
    if status < 300:
        assert state is DeliveryState.DELIVERED
    elif status >= 500 or status in (408, 425, 429):
        assert state is DeliveryState.RETRY
    else:
        assert state is DeliveryState.FAILED


def wrapped(error: BaseException) -> requests.ConnectionError:
    """Wrap an error as requests does, with a URL in its text."""
    found = requests.ConnectionError("Max retries exceeded with url: /services/T1/B1/hunter2", error)
    found.__context__ = error
    return found


@pytest.mark.parametrize(
    ("error", "state", "words"),
    [
        (wrapped(ConnectionRefusedError()), DeliveryState.RETRY, "Slack refuses connections"),
        (wrapped(gaierror()), DeliveryState.RETRY, "cannot be resolved"),
        (wrapped(ssl.SSLCertVerificationError()), DeliveryState.FAILED, "cannot be trusted"),
        (requests.ReadTimeout("hunter2"), DeliveryState.RETRY, "did not answer in time"),
        (requests.exceptions.InvalidURL("hunter2"), DeliveryState.FAILED, "cannot be used"),
        (TimeoutError(), DeliveryState.RETRY, "did not answer in time"),
        (SMTPServerDisconnected("hunter2"), DeliveryState.RETRY, "broke"),
        (SMTPDataError(451, b"later"), DeliveryState.RETRY, "451"),
        (SMTPDataError(554, b"spam"), DeliveryState.FAILED, "554"),
        (SMTPRecipientsRefused({"a@b": (550, b"gone")}), DeliveryState.FAILED, "a@b (550 gone)"),
        (SMTPRecipientsRefused({"a@b": (450, b"wait")}), DeliveryState.RETRY, "a@b (450 wait)"),
        (RuntimeError("hunter2"), DeliveryState.RETRY, "broke"),
    ],
)
def test_errors_are_judged_by_their_kind_and_their_text_is_not_repeated(
    error: BaseException, state: DeliveryState, words: str
) -> None:
    result = of_exception("Slack", error)
    assert result.state is state
    assert words in result.error
    assert "hunter2" not in result.error

"""Services without a layout of their own: what the real Apprise sends there calls nobody and leads nowhere."""

import json
from urllib.parse import unquote_plus

import pytest

from shared.domain.channel import Channel
from shared.domain.notice import Notice, NoticeEvent, NoticeSeverity
from shared.notices.delivery import deliver
from tests.support.notice_examples import NOW
from tests.support.web_services import WebServices

WORDS = (
    "<users/all> @**all** @alice <https://evil.example/x|Click> [Restore now](https://evil.example) "
    "[a]: https://e.example ![x](https://evil.example/p.png) <b>x</b> www.evil.example mailto:a@evil.example"
)
NOTICE = Notice(
    key="k",
    event=NoticeEvent.RESTORE_TEST_FAILED,
    severity=NoticeSeverity.CRITICAL,
    source="shop",
    at=NOW,
    title=f"Restore test of shop FAILED: {WORDS}",
    impact=WORDS,
    action=f"Run `goldcopy show {WORDS}`.",
    facts=((WORDS, WORDS),),
    findings=(f"row-count: {WORDS}",),
    links=(("Open Goldcopy", "https://goldcopy.example/source"), (WORDS, "https://goldcopy.example/run")),
)
URLS = (
    "gchat://workspace/key1234/token1234",
    "zulip://bot@org/abcdefghijabcdefghijabcdefghij12/stream",
    "mmosts://hook.example/abcdefghijabcdefghij",
    "rockets://abcdefghijabcdefghij/abcdefghijabcdefghij@hook.example/%23ops",
    "tgram://123456789:abcdefg_hijklmnop/12315544",
    "ntfys://ntfy.example/topic",
)


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("url", URLS, ids=[url.partition(":")[0] for url in URLS])
def test_words_of_others_act_on_nothing_in_any_service(services: WebServices, url: str) -> None:
    deliver(Channel(name="ops", url=url), NOTICE, timeout_seconds=20)
    [request] = services.received
    body = request.body.decode()
    shown = unquote_plus(body) if not body.startswith("{") else json.dumps(json.loads(body), ensure_ascii=False)
    assert "Restore test of shop FAILED" in shown
    own = shown.replace("https://goldcopy.example/source", "").replace("https://goldcopy.example/run", "")
    for acting in (
        "<users",
        "@**all",
        "@alice",
        "<https:",
        "https://",
        "](",
        "]:",
        "<b>x",
        "www.evil",
        "mailto:a",
        "<at",
    ):
        assert acting not in own, acting
    assert ("Open Goldcopy: https://goldcopy.example/source" in shown) is ("Open Goldcopy" in shown), "ours stay links"

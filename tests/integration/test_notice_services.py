"""Slack, Discord, webhooks and other services: real HTTPS to servers that keep the services' own rules."""

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.domain.channel import Arrival, Channel, DeliveryResult, DeliveryState
from shared.domain.notice import Notice, NoticeEvent, NoticeSeverity, read_notice
from shared.notices.delivery import deliver
from tests.support import discord_rules, slack_rules
from tests.support.notice_examples import NOW, examples
from tests.support.smtp_server import dripping_server
from tests.support.web_services import Planned, WebServices

EXAMPLES = examples()
NOTICE = EXAMPLES["restore-test-failed"]
SLACK = f"https://hooks.slack.com{slack_rules.WEBHOOK_PATH}"
BOT = f"slack://{slack_rules.BOT_TOKEN}/ops"
DISCORD = f"discord://{discord_rules.WEBHOOK_ID}/{discord_rules.WEBHOOK_TOKEN}"
WEBHOOK = "jsons://user:hunter2@hook.example/in/secret-path?+X-Team=ops"
OTHER = "ntfys://user:hunter2@ntfy.example/secret-topic"
ALL = {"slack": SLACK, "slack-bot": BOT, "discord": DISCORD, "webhook": WEBHOOK, "other": OTHER}

HOSTILE = Notice(
    key="hostile",
    event=NoticeEvent.RESTORE_TEST_FAILED,
    severity=NoticeSeverity.CRITICAL,
    source="app",
    at=NOW,
    title="<!channel> <@U024BE7LH> <https://evil.example|click> *bold* _it_ @everyone @here `code` & more",
    impact="[click](https://evil.example) ||spoiler|| <@&123> # head postgres://app:hunter2@db/app",
    action="Run `goldcopy check <!here>` now.",
    facts=(("<!everyone>", "@everyone\u202e\n# heading"),),
    findings=("> quote <#C123> ~strike~ ```block```", "password=hunter2 token=hunter3"),
    links=(("Open | <it>", "https://x.example/?a=1&b=2"), ("bad", "https://x.example/>|evil")),
)
ENDLESS = Notice(
    key="endless",
    event=NoticeEvent.ANOMALY,
    severity=NoticeSeverity.WARNING,
    source="app",
    at=NOW,
    title="t&<*_ " * 2000,
    impact="i&<*_ " * 2000,
    action="a&<*_ " * 2000,
    facts=tuple((f"label {number} " + "&<*_" * 200, "&<*_" * 2000) for number in range(60)),
    findings=tuple(f"finding {number} " + "&<*_" * 200 for number in range(3000)),
    links=tuple((f"link {number}", f"https://x.example/{number}?a=1&b=2") for number in range(40)),
)

pytestmark = pytest.mark.usefixtures("trusted", "services")


def send(url: str, notice: Notice = NOTICE, *, timeout_seconds: float = 20) -> DeliveryResult:
    return deliver(Channel(name="ops", url=url), notice, timeout_seconds=timeout_seconds)


def texts(value: Any) -> str:
    """Collect every string of a payload."""
    if isinstance(value, dict):
        return "\n".join(texts(item) for item in value.values())
    if isinstance(value, list):
        return "\n".join(texts(item) for item in value)
    return str(value)


@pytest.mark.parametrize("url", ALL.values(), ids=ALL)
@pytest.mark.parametrize("notice", [*EXAMPLES.values(), HOSTILE, ENDLESS], ids=[*EXAMPLES, "hostile", "endless"])
def test_every_notice_is_taken_by_every_service(services: WebServices, url: str, notice: Notice) -> None:
    result = send(url, notice)
    assert (result.state, result.error) == (DeliveryState.DELIVERED, "")
    assert len(services.taken) == 1
    assert "hunter" not in texts(services.taken[0].json) if services.taken[0].body.startswith(b"{") else True


def test_slack_shows_title_impact_and_command(services: WebServices) -> None:
    send(SLACK)
    message = services.taken[0].json
    assert message["text"] == f"🔴 {NOTICE.title}"
    assert message["blocks"][0]["text"]["text"] == f"🔴 *{NOTICE.title}*"
    shown = texts(message["attachments"][0]["blocks"])
    assert "*Impact:* Do not rely on backup" in shown
    assert "`goldcopy show 20261121T020000Z-app-7f3a`" in shown
    assert "<https://goldcopy.acme.example/source?source=app|Open Goldcopy>" in shown
    assert message["attachments"][0]["color"] == "#cf222e"


def test_slack_acts_on_no_word_of_others(services: WebServices) -> None:
    send(SLACK, HOSTILE)
    shown = texts(services.taken[0].json)
    assert slack_rules.mentions(shown) == ["https://x.example/?a=1&amp;b=2|Open | &lt;it&gt;"]
    assert "&lt;!channel&gt;" in shown
    assert "`goldcopy check &lt;!here&gt;`" in shown
    assert "\\u202e" in shown
    for block in services.taken[0].json["attachments"][0]["blocks"]:
        assert block.get("text", {"verbatim": True})["verbatim"] is True


def test_slack_bot_posts_to_its_channel(services: WebServices) -> None:
    assert send(BOT).error == ""
    assert services.taken[0].json["channel"] == "#ops"
    assert services.taken[0].path == "/api/chat.postMessage"


def test_slack_bot_is_told_apart_when_it_answers_200_and_refuses(services: WebServices) -> None:
    unknown = send(f"slack://{slack_rules.BOT_TOKEN}/nowhere")
    assert unknown.state is DeliveryState.FAILED
    assert unknown.error == "Slack did not take it: channel_not_found"
    wrong = send("slack://xoxb-1234-5678-wrong/ops")
    assert wrong.error == "Slack did not take it: invalid_auth"
    services.planned = [Planned(200, '{"ok": false, "error": "ratelimited"}', {"Retry-After": "7"})]
    busy = send(BOT)
    assert (busy.state, busy.retry_after_seconds) == (DeliveryState.RETRY, 7)


def test_one_refused_slack_channel_of_two_fails_the_whole(services: WebServices) -> None:
    result = send(f"slack://{slack_rules.BOT_TOKEN}/ops/nowhere")
    assert result.state is DeliveryState.FAILED
    assert len(services.taken) == 1


def test_discord_shows_an_embed_and_mentions_nobody(services: WebServices) -> None:
    send(DISCORD, HOSTILE)
    message = services.taken[0].json
    assert message["allowed_mentions"] == {"parse": []}
    assert not message.get("content")
    shown = texts(message["embeds"])
    assert "@everyone" not in shown
    assert "@here" not in shown
    assert "\\<@" in shown
    assert "\\[click\\]" in shown
    assert "](https://x.example/?a=1&b=2)" in shown
    assert "evil.example)" not in shown.replace("https\\://evil.example)", "")


def test_discord_shows_title_impact_and_command(services: WebServices) -> None:
    send(DISCORD)
    [embed] = services.taken[0].json["embeds"]
    assert embed["title"].startswith("🔴 Restore test of app FAILED: 2 findings")
    assert "**Impact:** Do not rely on backup" in embed["description"]
    assert "`goldcopy restore-test app`" in embed["description"]
    assert {"name": "Recovery time", "value": "1 min 1 s", "inline": True} in embed["fields"]
    assert embed["color"] == 0xCF222E


def test_discord_calls_whom_the_url_names_for_what_is_critical_only(services: WebServices) -> None:
    url = DISCORD + "?ping=%40here,%3C%40123%3E"
    send(url)
    send(url, EXAMPLES["backup-completed"])
    critical, good = (request.json for request in services.taken)
    assert critical["allowed_mentions"] == {"parse": ["everyone"], "users": ["123"], "roles": []}
    assert "@here" in critical["content"]
    assert good["allowed_mentions"] == {"parse": []}
    assert not good.get("content")


def test_cut_lists_say_how_much_is_missing(services: WebServices) -> None:
    send(SLACK, ENDLESS)
    send(DISCORD, ENDLESS)
    for request in services.taken:
        shown = texts(request.json)
        assert "more findings not shown here" in shown
        assert "more facts not shown here" in shown
        assert "… (cut)" in shown


def test_webhook_gets_the_whole_notice_as_documented(services: WebServices) -> None:
    assert send(WEBHOOK).error == ""
    [request] = services.taken
    assert request.path == "/in/secret-path"
    assert request.headers["Authorization"].startswith("Basic ")
    assert request.headers["X-Team"] == "ops"
    assert request.headers["Idempotency-Key"] == request.json["key"] == "restore-test-failed:t2"
    assert request.json["format"] == 1
    assert read_notice(request.json) == NOTICE


def test_other_services_get_plain_text_that_calls_nobody(services: WebServices) -> None:
    send(OTHER, HOSTILE)
    text = services.taken[0].body.decode()
    assert "Impact:" in text
    assert "@everyone" not in text
    assert "hunter" not in text


class TestFailures:
    """What is tried again and what is not, for every service alike, and without a word of the URL."""

    @pytest.mark.parametrize("url", ALL.values(), ids=ALL)
    @pytest.mark.parametrize(
        ("status", "state"),
        [
            (400, DeliveryState.FAILED),
            (401, DeliveryState.FAILED),
            (403, DeliveryState.FAILED),
            (404, DeliveryState.FAILED),
            (410, DeliveryState.FAILED),
            (302, DeliveryState.FAILED),
            (429, DeliveryState.RETRY),
            (500, DeliveryState.RETRY),
            (503, DeliveryState.RETRY),
        ],
    )
    def test_status(self, services: WebServices, url: str, status: int, state: DeliveryState) -> None:
        services.planned = [Planned(status, "no", {"Location": "https://hook.example/other"})] * 3
        result = send(url)
        assert result.state is state
        assert str(status) in result.error
        assert_no_secret(result.error)
        assert len(services.received) == 1

    @pytest.mark.parametrize("name", ["slack", "slack-bot", "discord", "webhook"])
    def test_pause_that_is_asked_for_is_passed_on_and_not_waited_for(self, services: WebServices, name: str) -> None:
        body = '{"message": "You are being rate limited.", "retry_after": 64.5, "global": false}'
        headers = {"Retry-After": "65", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1900000000"}
        services.planned = [Planned(429, body, headers)]
        result = send(ALL[name], timeout_seconds=5)
        assert result.state is DeliveryState.RETRY
        assert result.retry_after_seconds == (64.5 if name == "discord" else 65)

    @pytest.mark.parametrize("url", ALL.values(), ids=ALL)
    def test_service_that_never_answers(self, services: WebServices, url: str) -> None:
        services.stalls.set()
        result = send(url, timeout_seconds=0.5)
        assert result.state is DeliveryState.RETRY
        assert "in time" in result.error or "no answer within" in result.error
        assert_no_secret(result.error)

    @pytest.mark.parametrize("url", ALL.values(), ids=ALL)
    def test_certificate_that_nobody_vouches_for(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        monkeypatch.delenv("SSL_CERT_FILE")
        result = send(url)
        assert result.state is DeliveryState.FAILED
        assert "certificate" in result.error
        assert "SSL_CERT_FILE" in result.error
        assert_no_secret(result.error)

    @pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
    @pytest.mark.parametrize("url", ALL.values(), ids=ALL)
    def test_authority_of_ones_own_is_named_by_either_variable(
        self, url: str, variable: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("REQUESTS_CA_BUNDLE" if variable == "SSL_CERT_FILE" else "SSL_CERT_FILE")
        assert send(url).error == ""

    @pytest.mark.parametrize("url", ALL.values(), ids=ALL)
    def test_nobody_listens(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        result = send(url)
        assert result.state is DeliveryState.RETRY
        assert_no_secret(result.error)

    def test_unknown_host(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("HTTPS_PROXY")
        result = send("jsons://hook.invalid/in/secret-path")
        assert result.state is DeliveryState.RETRY
        assert "cannot be resolved" in result.error

    def test_wrong_token_of_slack_and_discord(self) -> None:
        slack = send("slack://T0123/B0456/wrongTOKEN1")
        assert slack.state is DeliveryState.FAILED
        assert "invalid_token" in slack.error
        discord = send(f"discord://{discord_rules.WEBHOOK_ID}/wrong-TOKEN")
        assert discord.state is DeliveryState.FAILED
        assert "Invalid Webhook Token" in discord.error
        assert "wrongTOKEN1" not in slack.error
        assert "wrong-TOKEN" not in discord.error

    def test_page_of_a_proxy_is_no_success_for_slack(self, services: WebServices) -> None:
        services.planned = [Planned(200, "<html>please sign in</html>")]
        assert send(SLACK).state is DeliveryState.FAILED


def assert_no_secret(text: str) -> None:
    for secret in ("hunter2", "secret", "abcDEF789", "xoxb", discord_rules.WEBHOOK_TOKEN, "services/T0123"):
        assert secret not in text


@pytest.mark.parametrize("url", ALL.values(), ids=ALL)
def test_no_log_holds_a_part_of_the_url(
    services: WebServices, url: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("urllib3").setLevel(logging.DEBUG)
        try:
            send(url)
            services.planned = [Planned(500)]
            send(url)
        finally:
            logging.getLogger("urllib3").setLevel(logging.NOTSET)
    written = capfd.readouterr()
    assert_no_secret(caplog.text + written.out + written.err)


def test_log_of_others_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    send(WEBHOOK)
    with caplog.at_level(logging.DEBUG, logger="urllib3.connectionpool"):
        logging.getLogger("urllib3.connectionpool").debug("somebody else's request")
    assert "somebody else's request" in caplog.text


def test_channel_whose_url_could_not_be_read_fails_with_the_reason() -> None:
    result = deliver(Channel(name="ops", url="", problem="the environment variable X is not set"), NOTICE)
    words = "the environment variable X is not set"
    assert result == DeliveryResult(state=DeliveryState.FAILED, error=words, arrival=Arrival.UNSENT)


def test_attempts_at_the_same_time_hear_only_their_own_reasons(services: WebServices) -> None:
    urls = [OTHER, OTHER.replace("ntfy.example", "hook.example"), OTHER.replace("ntfy.example", "nowhere.example")] * 5
    with ThreadPoolExecutor(max_workers=len(urls)) as senders:
        results = list(senders.map(send, urls))
    assert [result.state for result in results] == [
        DeliveryState.DELIVERED,
        DeliveryState.DELIVERED,
        DeliveryState.RETRY,
    ] * 5


def test_server_that_answers_drop_by_drop_is_left_at_the_deadline() -> None:
    with dripping_server() as port:
        result = send(f"json://127.0.0.1:{port}/", timeout_seconds=0.5)
    assert result.state is DeliveryState.RETRY
    assert result.error == "no answer within 0.5 s; it may still have arrived"

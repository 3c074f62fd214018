"""A token in a channel's URL stays in it, also where the server repeats it in its answer."""

import json
from urllib.parse import quote

import pytest

from shared.domain.channel import Channel
from shared.notices.delivery import deliver
from shared.notices.secrecy import hiding, outside_words
from tests.support import discord_rules, slack_rules
from tests.support.notice_examples import examples
from tests.support.web_services import Planned, WebServices

NOTICE = examples()["restore-test-failed"]
TOKEN = "SECRET/TOKEN 123+x"
WRITTEN = quote(TOKEN, safe="")
URLS = {
    "webhook": (
        f"jsons://user:hunter2@hook.example/a/hooks/{WRITTEN}?+Authorization=Bearer%20KEY12345",
        (TOKEN, WRITTEN, quote(TOKEN), "hunter2", "KEY12345", "dXNlcjpodW50ZXIy"),
    ),
    "slack": (f"https://hooks.slack.com{slack_rules.WEBHOOK_PATH}", (slack_rules.WEBHOOK_PATH.rpartition("/")[2],)),
    "slack-bot": (f"slack://{slack_rules.BOT_TOKEN}/ops", (slack_rules.BOT_TOKEN,)),
    "discord": (
        f"discord://{discord_rules.WEBHOOK_ID}/{discord_rules.WEBHOOK_TOKEN}",
        (discord_rules.WEBHOOK_TOKEN,),
    ),
    "other": ("ntfys://user:hunter2@ntfy.example/TOPIC123", ("hunter2", "TOPIC123")),
}


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("status", [200, 404, 500])
@pytest.mark.parametrize("name", URLS)
def test_answer_that_repeats_the_url_does_not_pass_it_on(services: WebServices, name: str, status: int) -> None:
    url, secrets = URLS[name]
    for secret in secrets:
        for said in (secret, secret.lower(), "x" * 140 + secret):
            services.planned = [Planned(status, json.dumps({"ok": False, "error": said, "message": said}))]
            error = deliver(Channel(name="ops", url=url), NOTICE, timeout_seconds=20).error.lower()
            assert secret.lower()[:6] not in error


@pytest.mark.parametrize(
    ("url", "said", "shown"),
    [
        ("json://host/in/SECRETTOKEN123", "no SECRETTO" + "KEN123 here", "no *** here"),
        ("json://host/in/SECRETTOKEN123", "y" * 190 + "SECRETTOKEN123", "y" * 190 + "***"),
        ("json://host/webhook/short", "the webhook is short", "the webhook is short"),
        ("mailtos://ops:hunter2@h?to=lead@acme.example", "no lead@acme.example, hunter2", "no lead@acme.example, ***"),
        ("mailtos://AKIA77:hunter22@h?to=a@b.c", "AKIA77 unknown", "*** unknown"),
        ("tgram://123456789:abcDEF/42", "bot123456789:abcDEF", "bot***"),
        ("json://host/?key=a%2Fb%2Bc%3Dd", "a/b+c=d a%2fb%2Bc%3Dd", "*** ***"),
    ],
)
def test_parts_of_a_url_are_covered_before_a_text_is_cut(url: str, said: str, shown: str) -> None:
    with hiding(url):
        assert outside_words(said, 200) == shown
    assert outside_words(said[:100], 200) == said[:100]

"""Apprise's own Slack, Discord and JSON services, each with a layout made for it and an answer that says why.

Apprise reads the URL, knows the targets and the modes of each service and calls these; what they change is the message
itself and what becomes of the answer. Apprise's own layout would turn `@everyone` in the name of a table into a call
to everyone, and its answer is yes or no.
"""

from dataclasses import replace
from typing import Any, cast

import requests
from apprise.plugins.custom_json import NotifyJSON
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.slack import NotifySlack, SlackMode

from shared.domain.channel import Arrival, DeliveryResult, DeliveryState
from shared.domain.notice import Notice, NoticeSeverity
from shared.notices.discord_message import discord_message
from shared.notices.failures import delivered, failed, of_exception, of_status, retry
from shared.notices.posting import Answer, post_json
from shared.notices.secrecy import outside_words
from shared.notices.slack_message import slack_message, slack_text
from shared.notices.wording import tidy

_SLACK_TROUBLE = frozenset({"fatal_error", "internal_error", "request_timeout", "service_unavailable", "rollup_error"})
_WORST_FIRST = (DeliveryState.FAILED, DeliveryState.RETRY, DeliveryState.DELIVERED)


class Outspoken:
    """What a service of ours has beside Apprise's: the notice, and how it ended.

    Attributes:
        notice: What to send.
        result: The worst of all targets; None until something was sent.
    """

    notice: Notice
    result: DeliveryResult | None = None

    def note(self, result: DeliveryResult) -> bool:
        """Take note of how it ended for one target, and say whether that was well."""
        results = [result] if self.result is None else [self.result, result]
        self.result = min(results, key=lambda one: _WORST_FIRST.index(one.state))
        is_mixed = len({one.state is DeliveryState.DELIVERED for one in results}) > 1
        if is_mixed or any(one.arrival is Arrival.PARTLY for one in results):
            self.result = replace(self.result, arrival=Arrival.PARTLY)
        return result.state is DeliveryState.DELIVERED


class SlackService(Outspoken, NotifySlack):
    """`slack://`: an incoming webhook, a bot or a workflow."""

    def _send(self, url: str, payload: dict[str, Any], *_args: Any, **_kwargs: Any) -> dict[str, Any] | bool:
        """Post in place of Apprise: our message, to the target that it chose."""
        target: dict[str, Any] = {key: payload[key] for key in ("channel", "thread_ts", "username") if key in payload}
        is_workflow = self.mode in (SlackMode.WORKFLOW, SlackMode.WORKFLOW_TRIGGER)
        message = {"text": slack_text(self.notice)} if is_workflow else {**target, **slack_message(self.notice)}
        is_bot = self.mode == SlackMode.BOT
        headers = {"Authorization": f"Bearer {self.access_token}"} if is_bot else {}
        try:
            answer = post_json(self, url, message, headers=headers)
        except requests.RequestException as error:
            return self.note(of_exception("Slack", error))
        judge = _of_slack_bot if is_bot else _of_slack_workflow if is_workflow else _of_slack_webhook
        return self.note(judge(answer)) and (answer.json() or {"ok": True})


class DiscordService(Outspoken, NotifyDiscord):
    """`discord://`: a webhook."""

    def _send(self, payload: dict[str, Any], *_args: Any, **kwargs: Any) -> bool:
        """Post in place of Apprise, which waits for as long as Discord says before it tries again."""
        keys = ("username", "avatar_url", "flags", "tts")
        kept: dict[str, Any] = {key: payload[key] for key in keys if key in payload}
        message = {**kept, **discord_message(self.notice), **self._calls()}
        url = f"{self.notify_url}/{self.webhook_id}/{self.webhook_token}"
        try:
            answer = post_json(self, url, message, params=kwargs.get("params"))
        except requests.RequestException as error:
            return self.note(of_exception("Discord", error))
        said = answer.json()
        asked = said.get("retry_after")
        seconds = float(asked) if isinstance(asked, int | float) else answer.retry_after_seconds
        words = str(said.get("message", "")) or answer.text
        return self.note(of_status("Discord", answer.status, words, seconds))

    def _calls(self) -> dict[str, Any]:
        """Call whom the URL names with `ping=`, for what is critical only."""
        if not self.ping or self.notice.severity is not NoticeSeverity.CRITICAL:
            return {}
        found: dict[str, Any] = self.ping_payload(" ".join(self.ping))
        allowed = dict(found.pop("allow_mentions", {"parse": []}))
        allowed["parse"] = ["everyone"] if {"everyone", "here"} & set(allowed["parse"]) else []
        return {**found, "allowed_mentions": allowed}


class WebhookService(Outspoken, NotifyJSON):
    """`jsons://` and `json://`: the notice as one JSON document, described in docs/notices.md."""

    def send(self, *_args: Any, **_kwargs: Any) -> bool:
        """Post in place of Apprise, whose document holds no more than a title and a text."""
        address = f"{'https' if self.secure else 'http'}://{self.host}{f':{self.port}' if self.port else ''}"
        headers = {"Idempotency-Key": self.notice.key, **self.headers}
        try:
            answer = post_json(
                self,
                address + self.fullpath,
                {**self.payload_extras, **tidy(self.notice).document()},
                headers=headers,
                params=self.params,
                auth=(self.user, self.password or "") if self.user else None,
                method=self.method,
            )
        except (requests.RequestException, UnicodeError) as error:
            return self.note(of_exception(self.host, error))
        words = "" if answer.text.lstrip().startswith("<") else answer.text
        return self.note(of_status(cast(str, self.host), answer.status, words, answer.retry_after_seconds))


def _of_slack_webhook(answer: Answer) -> DeliveryResult:
    """A webhook answers 200 and the two letters `ok`, or a word for what is wrong."""
    if answer.status == 200 and answer.text.strip() != "ok":
        return failed(f"Slack did not take it: {outside_words(answer.text, 100) or 'an empty answer'}")
    return of_status("Slack", answer.status, answer.text, answer.retry_after_seconds)


def _of_slack_bot(answer: Answer) -> DeliveryResult:
    """The Web API answers 200 also when it refuses; the word is in the document."""
    said = answer.json()
    word = str(said.get("error") or "an answer that is not Slack's")
    if answer.status != 200:
        return of_status("Slack", answer.status, word, answer.retry_after_seconds)
    if said.get("ok") is True:
        return delivered()
    if word in _SLACK_TROUBLE or word in ("ratelimited", "rate_limited"):
        return retry(f"Slack cannot take it now: {word}", answer.retry_after_seconds)
    return failed(f"Slack did not take it: {outside_words(word, 100)}")


def _of_slack_workflow(answer: Answer) -> DeliveryResult:
    return of_status("Slack", answer.status, answer.text, answer.retry_after_seconds)

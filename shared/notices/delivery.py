"""Deliver one notice to one channel, within a time, and say how it ended."""

from dataclasses import replace
from threading import Thread

from apprise import Apprise
from apprise.common import NotifyFormat, NotifyType
from apprise.plugins.base import NotifyBase

from shared.domain.channel import Channel, DeliveryResult, DeliveryState
from shared.domain.notice import Notice
from shared.notices.address import AddressInvalid, open_service
from shared.notices.apprise_log import Heard, listen
from shared.notices.failures import delivered, failed, of_exception, of_status, retry, unusable
from shared.notices.plain import defused, short_text
from shared.notices.secrecy import covered, hiding
from shared.notices.services import Outspoken
from shared.notices.wording import Tone, shorten, tone_of

__all__ = ["Channel", "DeliveryResult", "DeliveryState", "deliver"]

DEFAULT_TIMEOUT_SECONDS = 20.0
_TYPES = {
    Tone.GOOD: NotifyType.SUCCESS,
    Tone.INFO: NotifyType.INFO,
    Tone.WARNING: NotifyType.WARNING,
    Tone.CRITICAL: NotifyType.FAILURE,
}


def deliver(channel: Channel, notice: Notice, *, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> DeliveryResult:
    """Send a notice, once.

    Nothing that a network, a server or a URL does raises, and nothing blocks for longer than the timeout: host names
    are looked up without any limit of time, so the attempt is made in a thread of its own that can be left alone.

    Args:
        channel: Where to.
        notice: What.
        timeout_seconds: The longest it may take, all in all.
    """
    if channel.problem:
        return unusable(channel.problem)
    ended: list[DeliveryResult] = []
    sender = Thread(target=lambda: ended.append(_attempt(channel, notice, timeout_seconds)), daemon=True)
    sender.start()
    sender.join(timeout_seconds)
    if ended:
        return ended[0]
    return retry(f"no answer within {timeout_seconds:g} s; it may still have arrived")


def _attempt(channel: Channel, notice: Notice, timeout_seconds: float) -> DeliveryResult:
    with hiding(channel.url):
        result = _try(channel, notice, timeout_seconds)
        return replace(result, error=covered(result.error))


def _try(channel: Channel, notice: Notice, timeout_seconds: float) -> DeliveryResult:
    with listen() as heard:
        try:
            service = open_service(channel.url, timeout_seconds)
        except AddressInvalid as error:
            return unusable(f"channels.{channel.name}.url: {error}")
        try:
            return _send(service, notice, heard)
        except Exception as error:  # noqa: BLE001 - a hundred services of others: none of them may end a watch
            return of_exception(str(service.service_name), error)


def _send(service: NotifyBase, notice: Notice, heard: Heard) -> DeliveryResult:
    outbox = Apprise(asset=service.asset)
    outbox.add(service)
    kind = _TYPES[tone_of(notice)]
    if not isinstance(service, Outspoken):
        title = shorten(defused(notice).title, service.title_maxlen or 250)
        room = max(1, service.body_maxlen - len(title) - 3)
        is_sent = outbox.notify(
            body=short_text(notice, room), title=title, notify_type=kind, body_format=NotifyFormat.TEXT
        )
        return delivered() if is_sent else _reason(str(service.service_name), heard)
    service.notice = notice
    # The service lays the notice out itself; what Apprise passes on here only has to be there.
    is_sent = outbox.notify(body="-", title="-", notify_type=kind)
    if service.result is not None and (service.result.state is not DeliveryState.DELIVERED or is_sent):
        return service.result
    return delivered() if is_sent else _reason(str(service.service_name), heard)


def _reason(receiver: str, heard: Heard) -> DeliveryResult:
    """Find out from what Apprise said why it could not send."""
    if heard.status is not None:
        return of_status(receiver, heard.status)
    if heard.error is not None:
        return of_exception(receiver, heard.error)
    return failed(f"Apprise could not send to {receiver}; check the targets in its URL")

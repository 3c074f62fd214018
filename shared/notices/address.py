"""Read a channel's Apprise URL: into the service that it names, or into a sentence about what is wrong with it.

No sentence repeats the URL: what stands in it are tokens and passwords, and in a broken one nobody knows which part is.
"""

import re
import ssl
from collections.abc import Iterable
from typing import Any, cast

import requests
from apprise import AppriseAsset
from apprise.plugins import N_MGR, url_to_dict
from apprise.plugins.base import NotifyBase
from apprise.plugins.custom_json import NotifyJSON
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.email.base import NotifyEmail
from apprise.plugins.email.common import SecureMailMode
from apprise.plugins.slack import NotifySlack

from shared.notices.apprise_log import listen
from shared.notices.mail import MailService
from shared.notices.services import DiscordService, SlackService, WebhookService

_OURS: dict[type[NotifyBase], type[NotifyBase]] = {
    NotifyEmail: MailService,
    NotifySlack: SlackService,
    NotifyDiscord: DiscordService,
    NotifyJSON: WebhookService,
}
_SCHEME = re.compile(r"\s*([a-zA-Z][a-zA-Z0-9+.-]{0,20})://")
_EXAMPLES: dict[type[NotifyBase], str] = {
    NotifyEmail: "mailtos://USER:PASSWORD@HOST:587/?mode=starttls&from=ADDRESS&to=ADDRESS",
    NotifySlack: "https://hooks.slack.com/services/T.../B.../... as Slack shows it",
    NotifyDiscord: "https://discord.com/api/webhooks/ID/TOKEN as Discord shows it",
    NotifyJSON: "jsons://HOST/PATH",
}
_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})
_SOCKET_TIMEOUT_SHARE = 0.8
"""Of the whole time that a delivery may take, so that a silent server is noticed before the whole time is over."""


class AddressInvalid(ValueError):
    """The URL cannot be used; the text says why, without any part of it that could be a secret."""


def open_service(url: str, timeout_seconds: float) -> NotifyBase:
    """Return the service that a URL names.

    Args:
        url: An Apprise URL, or one as Slack or Discord show it to copy.
        timeout_seconds: The longest that a delivery may take.

    Raises:
        AddressInvalid: It names no service, or not in the way that this service needs.
    """
    with listen():
        found = url_to_dict(url.strip())
        if not found:
            raise AddressInvalid(_why(url))
        kind: type[NotifyBase] = N_MGR[found["schema"]]
        try:
            service = _OURS.get(kind, kind)(**{**found, "tag": set(), "asset": _asset()})
        except Exception:  # noqa: BLE001 - a hundred services, each refuses in its own way and with the token in its text
            raise AddressInvalid(_shape(kind, str(found["schema"]))) from None
    if not service.enabled:
        raise AddressInvalid(f"{service.service_name} needs a Python package that is not installed here")
    if isinstance(service, MailService) and _is_in_the_clear(service):
        raise AddressInvalid(
            "it sends mail in the clear, which only a relay on this machine gets, without a login;"
            f" write {_EXAMPLES[NotifyEmail]}"
        )
    if service.verify_certificate:
        service.verify_certificate = cast(bool, _authorities())  # Apprise hands it to requests, which takes a file too
    longest = _SOCKET_TIMEOUT_SHARE * timeout_seconds
    service.socket_connect_timeout = _own(found, "cto", service.socket_connect_timeout, longest)
    service.socket_read_timeout = _own(found, "rto", service.socket_read_timeout, longest)
    return service


def warnings_about(service: NotifyBase) -> list[str]:
    """Say what is unwise about a URL that can be used."""
    found = []
    if not service.verify_certificate:
        found.append("verify=no: anybody on the way can read and change what is sent")
    if service.password and not service.secure:
        found.append("the password is sent without encryption")
    return found


def label_of(service: NotifyBase) -> str:
    """Return what may be shown of a service: its name, and its host where that is no secret."""
    match service:
        case MailService():
            return f"E-Mail by {service.smtp_host}:{service.port} to {', '.join(to for _, to in service.targets)}"
        case WebhookService():
            return f"Webhook at {service.host}"
        case _:
            return str(service.service_name)


def _asset() -> AppriseAsset:
    """Speak as Goldcopy, fetch no picture from elsewhere, follow no redirect, wait and try again for nobody."""
    return AppriseAsset(
        app_id="Goldcopy",
        app_desc="Goldcopy",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        async_mode=False,
        http_redirects=False,
        interpret_emojis=False,
    )


def _is_in_the_clear(service: MailService) -> bool:
    """Say whether mail would cross a network without encryption, or a password would be sent without."""
    if service.secure_mode != SecureMailMode.INSECURE:
        return False
    return bool(service.user or service.password) or service.smtp_host not in _THIS_MACHINE


def _authorities() -> str | bool:
    """Return the file of certificate authorities for whatever posts with requests, which knows its own variable only.

    Returns:
        What REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names, else what SSL_CERT_FILE names, which mail goes by; else True,
        for those that come with requests.
    """
    session, paths = requests.Session(), ssl.get_default_verify_paths()
    session.verify = paths.cafile if paths.cafile and paths.cafile != paths.openssl_cafile else True
    found: str | bool = session.merge_environment_settings("https://", {}, None, None, None)["verify"]
    return found


def _own(found: dict[str, Any], key: str, value: float, longest: float) -> float:
    """Keep a shorter time that the URL asks for; else take the longest there is."""
    return min(value, longest) if key in (found.get("qsd") or {}) else longest


def _why(url: str) -> str:
    scheme = _SCHEME.match(url)
    if not scheme:
        return "it is not an Apprise URL, which begins with its service, such as mailtos:// or slack://"
    name = scheme[1].lower()
    if name in ("http", "https"):
        return (
            "it is no URL that Slack, Discord or another known service shows; for a webhook of your own write jsons://"
        )
    if name not in N_MGR:
        return f"Apprise knows no service {name}://"
    return _shape(N_MGR[name], name)


def _shape(kind: type[NotifyBase], scheme: str) -> str:
    templates: Iterable[str] = getattr(kind, "templates", ())
    example = _EXAMPLES.get(kind) or min(templates, key=len, default="").replace("{schema}", scheme)
    shown = f"; it is written like {example}" if example else ""
    return f"{scheme}://*** is not a valid {kind.service_name} URL{shown} ({kind.setup_url})"

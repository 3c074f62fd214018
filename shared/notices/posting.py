"""Post JSON to a web address that an Apprise URL names, and bring back what was answered."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import requests

from shared.notices.failures import retry_after_seconds

_ANSWER_BYTES = 4096


class Poster(Protocol):
    """What Apprise knows of how to reach a service; every plugin of it is one."""

    @property
    def request_timeout(self) -> Any:
        """Seconds to connect, and to wait for each part of the answer."""

    verify_certificate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a service answered.

    Attributes:
        status: HTTP status.
        text: The beginning of its body.
        retry_after_seconds: How long it asked to be left alone.
    """

    status: int
    text: str
    retry_after_seconds: float | None

    def json(self) -> dict[str, Any]:
        """Read the body; an empty document when it is not a JSON object."""
        try:
            found = json.loads(self.text)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def post_json(
    poster: Poster,
    url: str,
    document: Mapping[str, Any],
    *,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    auth: tuple[str, str] | None = None,
    method: str = "POST",
) -> Answer:
    """Send a document. Redirects are not followed: a POST would arrive as a GET, at a place nobody named.

    Raises:
        requests.RequestException: It could not be sent, or nothing came back.
    """
    with requests.request(
        method,
        url,
        data=json.dumps(document, ensure_ascii=False).encode(),
        params=params,
        headers={"User-Agent": "Goldcopy", "Content-Type": "application/json; charset=utf-8", **(headers or {})},
        auth=auth,
        verify=poster.verify_certificate,
        timeout=poster.request_timeout,
        allow_redirects=False,
        stream=True,
    ) as response:
        body: bytes = response.raw.read(_ANSWER_BYTES, decode_content=True) or b""
        return Answer(
            status=response.status_code,
            text=body.decode("utf-8", "replace"),
            retry_after_seconds=retry_after_seconds(response.headers.get("Retry-After"), response.headers.get("Date")),
        )

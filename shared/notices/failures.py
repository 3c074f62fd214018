"""Why a delivery failed, and whether trying again can help. Nothing here repeats a URL: tokens stand in them."""

import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from smtplib import (
    SMTPException,
    SMTPNotSupportedError,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPServerDisconnected,
)
from socket import gaierror

from requests.exceptions import InvalidHeader, InvalidURL, MissingSchema, ReadTimeout
from requests.exceptions import Timeout as RequestsTimeout

from shared.domain.channel import Arrival, DeliveryResult, DeliveryState
from shared.notices.secrecy import outside_words

LONGEST_WAIT_SECONDS = 86400.0
_ANSWER_CHARACTERS = 200
_TRANSIENT_STATUS = frozenset({408, 425, 429})
# OpenSSL's codes for a certificate that nobody known has signed; an expired one or another name is not mended by trust.
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})
_NEXT_STEPS = {
    401: "its credentials are wrong",
    403: "it is not allowed to post there",
    404: "there is nothing at this URL, the webhook may be gone",
    410: "the webhook or the channel is gone",
}


def delivered() -> DeliveryResult:
    """It arrived."""
    return DeliveryResult(state=DeliveryState.DELIVERED)


def retry(error: str, after_seconds: float | None = None) -> DeliveryResult:
    """It may arrive later without a person."""
    return DeliveryResult(state=DeliveryState.RETRY, error=error, retry_after_seconds=after_seconds)


def failed(error: str) -> DeliveryResult:
    """It cannot arrive until a person mends something."""
    return DeliveryResult(state=DeliveryState.FAILED, error=error)


def unusable(error: str) -> DeliveryResult:
    """This process cannot use the channel at all."""
    return DeliveryResult(state=DeliveryState.FAILED, error=error, arrival=Arrival.UNSENT)


def of_status(receiver: str, status: int, said: str = "", after_seconds: float | None = None) -> DeliveryResult:
    """Judge an HTTP answer.

    Args:
        receiver: Who answered, for people.
        status: HTTP status.
        said: The answer's own words, already without secrets.
        after_seconds: How long it asked to wait.
    """
    if 200 <= status < 300:
        return delivered()
    words = f": {outside_words(said, _ANSWER_CHARACTERS)}" if said.strip() else ""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = f", for {after_seconds:g} s" if after_seconds is not None else ""
        return retry(f"{receiver} asks for a pause{wait} (429)", after_seconds)
    if status in _TRANSIENT_STATUS or status >= 500:
        return retry(f"{receiver} has trouble of its own ({_named(status)}){words}", after_seconds)
    if 300 <= status < 400:
        return failed(f"{receiver} answered {_named(status)}; redirects are not followed, correct the URL")
    reason = f", {_NEXT_STEPS[status]}" if status in _NEXT_STEPS else ""
    return failed(f"{receiver} refused it ({_named(status)}{reason}){words}")


def of_exception(receiver: str, error: BaseException) -> DeliveryResult:
    """Judge what was raised on the way: by its kind, never by its text, which may hold a URL with its token."""
    chain = list(_chain(error))
    for found in chain:
        if isinstance(found, ssl.SSLCertVerificationError):
            return failed(f"the certificate of {receiver} cannot be trusted: {_why(found)}")
        if isinstance(found, SMTPException) and not isinstance(found, SMTPServerDisconnected):
            return _of_smtp(receiver, found)
        if isinstance(found, InvalidURL | MissingSchema | InvalidHeader):
            return failed(f"{receiver}: the URL cannot be used")
    if any(isinstance(found, ReadTimeout) for found in chain):
        perhaps = retry(f"{receiver} did not answer in time; it may have arrived")
        return replace(perhaps, arrival=Arrival.PERHAPS)
    return retry(_network_words(receiver, chain))


def retry_after_seconds(header: str | None, answered: str | None) -> float | None:
    """Read a Retry-After header: seconds, or a date that counts from the answer's own Date header."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        until, now = _date(header), _date(answered)
        if until is None or now is None:
            return None
        seconds = (until - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT_SECONDS) if seconds == seconds else None  # noqa: PLR0124 - not a number


def _why(error: ssl.SSLCertVerificationError) -> str:
    words = str(getattr(error, "verify_message", "")) or "it was refused"
    if getattr(error, "verify_code", None) not in _UNKNOWN_AUTHORITY:
        return words
    return f"{words}; if its authority is your own, name it in SSL_CERT_FILE (REQUESTS_CA_BUNDLE goes before it)"


def _network_words(receiver: str, chain: list[BaseException]) -> str:
    for found in chain:
        if isinstance(found, gaierror):
            return f"the host name of {receiver} cannot be resolved"
        if isinstance(found, ConnectionRefusedError):
            return f"{receiver} refuses connections"
        if isinstance(found, ssl.SSLError):
            return (
                f"no TLS with {receiver}: {outside_words(found.reason or 'the handshake failed', _ANSWER_CHARACTERS)}"
            )
    if any(isinstance(found, TimeoutError | RequestsTimeout) for found in chain):
        return f"{receiver} did not answer in time"
    return f"the connection to {receiver} broke"


def _of_smtp(receiver: str, error: SMTPException) -> DeliveryResult:
    """Judge what a mail server said: 4xx is for now, 5xx for good."""
    match error:
        case SMTPRecipientsRefused(recipients=recipients):
            return of_refused_recipients(receiver, recipients)
        case SMTPNotSupportedError():
            return failed(f"{receiver} offers no encryption or no login, and the channel asks for it")
        case SMTPResponseException(smtp_code=code, smtp_error=said):
            text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
            words = outside_words(text, _ANSWER_CHARACTERS)
            if 400 <= code < 500:
                return retry(f"{receiver} cannot take it now ({code}): {words}")
            if code in (530, 534, 535, 538):
                return failed(f"{receiver} refused the login ({code}): {words}")
            return failed(f"{receiver} refused it ({code}): {words}")
        case _:
            return failed(f"{receiver} did not speak as a mail server does")


def of_refused_recipients(receiver: str, recipients: dict[str, tuple[int, bytes]], taken: int = 0) -> DeliveryResult:
    """Judge addresses that a mail server did not take.

    Args:
        receiver: The server, for people.
        recipients: Code and words for each refused address.
        taken: How many others it took.
    """
    listed = "; ".join(
        f"{address} ({code} {said.decode('utf-8', 'replace')})" for address, (code, said) in recipients.items()
    )
    others = f", {taken} other{'s' if taken > 1 else ''} got it" if taken else ""
    words = f"{receiver} refused {outside_words(listed, 2 * _ANSWER_CHARACTERS)}{others}"
    result = retry(words) if all(400 <= code < 500 for code, _ in recipients.values()) else failed(words)
    return replace(result, arrival=Arrival.PARTLY) if taken else result


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what lies behind it; requests and urllib3 keep the cause in arguments and in `reason`."""
    waiting, seen = [error], set[int]()
    while waiting:
        found = waiting.pop(0)
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        behind = (found.__cause__, found.__context__, getattr(found, "reason", None), *found.args)
        waiting += [inner for inner in behind if isinstance(inner, BaseException)]


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _date(text: str | None) -> datetime | None:
    try:
        at = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return at.replace(tzinfo=at.tzinfo or UTC) if at else None

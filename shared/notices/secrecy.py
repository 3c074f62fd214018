"""What stands in a channel's URL is a secret, also where a server repeats it in its answer: it never leaves as words.

While a URL is used, its parts are known to the thread that uses it. They are covered before a text is cut, for half a
token is a secret too.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import local
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from shared.notices.wording import clean

STARS = "***"
_SHORTEST = 6
_ADDRESSES = frozenset({"to", "cc", "bcc", "from", "reply", "smtp", "name"})
"""What a mail shows to everybody who gets it, and what says which recipient was refused."""

_ORDINARY = frozenset(
    [
        "alerts",
        "channel",
        "channels",
        "goldcopy",
        "incoming",
        "message",
        "messages",
        "notice",
        "notices",
        "notify",
        "server",
        "service",
        "services",
        "webhook",
        "webhooks",
    ]
)
"""Words of ours that say what went wrong: in a URL they are no secret."""

_here = local()


@contextmanager
def hiding(url: str) -> Iterator[None]:
    """Cover the parts of a URL in every text that this thread makes of words from outside."""
    before = getattr(_here, "pattern", None)
    _here.pattern = _pattern(url)
    try:
        yield
    finally:
        _here.pattern = before


def outside_words(text: str, limit: int) -> str:
    """Return what somebody outside said as it may be shown: without parts of the URL, clean, and cut."""
    return clean(covered(text), limit)


def covered(text: str) -> str:
    """Put stars in place of every part of the URL that this thread uses."""
    pattern: re.Pattern[str] | None = getattr(_here, "pattern", None)
    return pattern.sub(STARS, text) if pattern else text


def _pattern(url: str) -> re.Pattern[str] | None:
    spellings = {spelling for part in _parts(url) for spelling in _spellings(part) if len(spelling) >= _SHORTEST}
    if not spellings:
        return None
    return re.compile("|".join(re.escape(item) for item in sorted(spellings, key=len, reverse=True)), re.IGNORECASE)


def _parts(url: str) -> Iterator[str]:
    """Yield what may be secret in a URL, as it is written there."""
    scheme, _, rest = url.strip().partition("://")
    is_mail = scheme.lower().startswith("mailto")
    rest, _, fragment = rest.partition("#")
    rest, _, query = rest.partition("?")
    place, _, path = rest.partition("/")
    login, has_login, host = place.rpartition("@")
    user, _, password = login.partition(":")
    yield from (password, fragment, *path.split("/"))
    if not (is_mail and _is_address(user)):
        yield user
    if has_login:
        yield b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    if scheme.lower() not in ("json", "jsons") and not is_mail:
        yield host  # where there is no host of one's own, a token stands in its place
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if not (is_mail and name.lower() in _ADDRESSES):
            yield value
            yield from unquote_plus(value).split()  # `Bearer TOKEN`


def _is_address(user: str) -> bool:
    """Say whether a mail login is an address, or the first half of one: those stand in every mail."""
    return "@" in unquote(user) or bool(re.fullmatch(r"[a-z]+([._-][a-z]+)*", unquote(user)))


def _spellings(part: str) -> Iterable[str]:
    """Yield how a server may write a part of a URL: as it came, decoded, and encoded again in one of several ways."""
    plain = {unquote(part), unquote_plus(part)}
    if any(item.lower() in _ORDINARY for item in plain):
        return set()
    encoded = {code(item) for item in plain for code in (quote, quote_plus, lambda text: quote(text, safe=""))}
    escaped = {json.dumps(item)[1:-1] for item in plain} | {item.replace("/", "\\/") for item in plain}
    return {part} | plain | encoded | escaped

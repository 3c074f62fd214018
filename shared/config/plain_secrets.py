"""Find secrets that stand in the configuration file itself, which is reviewed policy and read by many."""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from shared.config.references import is_reference

_URL_WITH_PASSWORD = re.compile(r"://[^/@\s]*:[^@\s]+@|\bpassword\s*=\s*\S", re.IGNORECASE)
_PRIVATE_KEY = re.compile(r"AGE-SECRET-KEY-|PRIVATE KEY-----")
_CHANNEL_URL = re.compile(r"channels\..+\.url")  # whoever has it can write to the channel
_SECRET_NAMES = ("secret", "password", "token", "fingerprint_key")


def find_plain_secrets(section: BaseModel) -> list[str]:
    """Return the keys whose value is a secret and no reference to one, such as `sources.app.url`."""
    return [key for key, text in _texts("", section.model_dump()) if _is_plain_secret(key, text)]


def _texts(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _texts(f"{key}.{name}".removeprefix("."), item)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value, 1):
            yield from _texts(f"{key}[{number}]", item)


def _is_plain_secret(key: str, text: str) -> bool:
    if not text or is_reference(text):
        return False
    is_named = any(name in key.rpartition(".")[2] for name in _SECRET_NAMES)
    return bool(is_named or _CHANNEL_URL.fullmatch(key) or _URL_WITH_PASSWORD.search(text) or _PRIVATE_KEY.search(text))

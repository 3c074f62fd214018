"""Keys for programs that call the app: random, shown once, kept as a digest."""

import hashlib
import re

PREFIX = "goldcopy_"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_SECRET = re.compile(r"goldcopy_[0-9a-f]{64}")


def key_of(random: bytes) -> str:
    """Return the key for 32 random bytes; the prefix lets scanners for secrets know one when they see it."""
    if len(random) != 32:
        raise ValueError("a key is made of 32 random bytes")
    return f"{PREFIX}{random.hex()}"


def digest_of(key: str) -> str:
    """Return what is kept of a key: SHA-256, hex; with 256 random bits nothing slower is needed."""
    return hashlib.sha256(key.encode()).hexdigest()


def is_key(text: str) -> bool:
    """Say whether a text has the form of a key."""
    return _SECRET.fullmatch(text) is not None

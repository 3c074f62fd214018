"""Values with a form of their own: public keys, URLs. Only what stands in the file itself is looked at, not references.

No message ever quotes a URL or a key: either may hold a secret.
"""

import re
from collections.abc import Callable
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator

from shared.config.references import is_reference

_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_SSH_RECIPIENT = re.compile(r"ssh-(ed25519|rsa) [A-Za-z0-9+/]+=*( .*)?")
_DATABASE_URL = re.compile(r"(?i)postgres(ql)?(\+\w+)?://|\s*\w+\s*=")
_CATALOG_URL = re.compile(r"sqlite(\+pysqlite)?:///.|postgres(ql)?(\+psycopg)?://.")
_REPOSITORY_URL = re.compile(r"file://.|s3://[^/]")


def check_recipient(text: str) -> str:
    """Refuse what is no public key, a mistyped one included.

    Raises:
        ValueError: With what to write instead.
    """
    stripped = text.strip()
    if stripped.upper().startswith("AGE-SECRET-KEY-"):
        raise ValueError("this is a private key; write its public key, which begins age1, and keep the private one out")
    if stripped.startswith("ssh-"):
        if not _SSH_RECIPIENT.fullmatch(stripped):
            raise ValueError('this is not a whole SSH public key; write "ssh-ed25519 AAAA..."')
    elif not stripped.startswith("age1"):
        raise ValueError('this is not a public key; write one that begins "age1", as `goldcopy init` prints it')
    elif not _is_bech32(stripped):
        raise ValueError("this public key is mistyped or cut; copy it again, whole")
    return text


def check_timezone(text: str) -> str:
    """Refuse what is no time zone.

    Raises:
        ValueError: With what to write instead.
    """
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{text!r} is not a time zone; write for example UTC or Europe/Berlin") from error
    return text


def _is_bech32(text: str) -> bool:
    """Say whether the checksum of an age public key fits (BIP 173); 32 bytes are 52 letters, and 6 more check them."""
    prefix, _, letters = text.rpartition("1")
    if prefix != "age" or len(letters) != 58 or set(letters) - set(_BECH32):
        return False
    values = [ord(char) >> 5 for char in prefix] + [0] + [ord(char) & 31 for char in prefix]
    values += [_BECH32.index(char) for char in letters]
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum == 1


def _formed(pattern: re.Pattern[str], advice: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not is_reference(text) and not pattern.match(text):
            raise ValueError(advice)
        return text

    return check


Recipient = Annotated[str, AfterValidator(check_recipient)]
DatabaseUrl = Annotated[
    str,
    AfterValidator(
        _formed(
            _DATABASE_URL, 'write "env:NAME" or "file:PATH" that holds postgresql://USER:PASSWORD@HOST:PORT/DATABASE'
        )
    ),
]
CatalogUrl = Annotated[
    str,
    AfterValidator(
        _formed(_CATALOG_URL, 'write "sqlite:///PATH", "postgresql+psycopg://USER@HOST/DATABASE", or "env:NAME" of one')
    ),
]
RepositoryUrl = Annotated[
    str, AfterValidator(_formed(_REPOSITORY_URL, 'write "file://FOLDER" or "s3://BUCKET/PREFIX"'))
]

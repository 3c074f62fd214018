"""`goldcopy.json`: what makes a folder or a bucket a repository. Canonical JSON with a digest and a mac of its own."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.signed_document import decode_document, encode_document
from shared.errors import ConfigInvalid, DecryptionFailed, ManifestInvalid
from shared.repository.keys import KEY_BYTES
from shared.repository.sealing import Identity, seal, unseal_whole
from shared.units import format_instant, parse_instant

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a repository says of itself.

    Attributes:
        created_at: When it was created.
        recipients: Public keys that the fingerprint key is sealed to.
        sealed_fingerprint_key: The fingerprint key, sealed as every object is.
        files: SHA-256 of each recovery file, hex, by key.
        format: Version of the repository format.
    """

    created_at: datetime
    recipients: tuple[str, ...]
    sealed_fingerprint_key: bytes
    files: Mapping[str, str]
    format: int = FORMAT


def describe(
    recipients: Sequence[str], fingerprint_key: bytes, files: Mapping[str, str], created_at: datetime
) -> Description:
    """Make the description of a new repository.

    Raises:
        ConfigInvalid: The recipients cannot be used.
    """
    sealed = seal(fingerprint_key, recipients).data
    return Description(
        created_at=created_at, recipients=tuple(recipients), sealed_fingerprint_key=sealed, files=dict(files)
    )


def with_recipients(description: Description, recipients: Sequence[str], fingerprint_key: bytes) -> Description:
    """Return the description with the fingerprint key sealed to other recipients.

    Raises:
        ConfigInvalid: The recipients cannot be used.
    """
    sealed = seal(fingerprint_key, recipients).data
    return replace(description, recipients=tuple(recipients), sealed_fingerprint_key=sealed)


def encode_description(description: Description, fingerprint_key: bytes) -> bytes:
    """Print a description with its digest and its mac."""
    document: dict[str, object] = {
        "format": description.format,
        "created_at": format_instant(description.created_at),
        "recipients": list(description.recipients),
        "sealed_fingerprint_key": base64.b64encode(description.sealed_fingerprint_key).decode("ascii"),
        "files": dict(description.files),
    }
    return encode_document(document, fingerprint_key)


def decode_description(data: bytes, *, fingerprint_key: bytes | None = None) -> Description:
    """Read a description and refuse anything that is not exactly what Goldcopy writes.

    Args:
        data: The stored bytes.
        fingerprint_key: Where given, it must be this repository's.

    Raises:
        ManifestInvalid: Damaged, cut, or of a newer format.
        ConfigInvalid: The fingerprint key is not this repository's.
    """
    signed = decode_document(data, name="goldcopy.json", newest_format=FORMAT, hint=_DAMAGED, newer_hint=_NEWER)
    if fingerprint_key is not None and not signed.fits(fingerprint_key):
        raise ConfigInvalid("the fingerprint key does not belong to this repository", hint=WRONG_KEY)
    document = signed.members
    try:
        return Description(
            format=document["format"],
            created_at=parse_instant(document["created_at"]),
            recipients=tuple(str(recipient) for recipient in document["recipients"]),
            sealed_fingerprint_key=base64.b64decode(document["sealed_fingerprint_key"], validate=True),
            files={str(key): str(digest) for key, digest in document["files"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise ManifestInvalid(f"goldcopy.json lacks or misuses a field: {error}", hint=_DAMAGED) from error


def unseal_fingerprint_key(description: Description, identities: Sequence[Identity]) -> bytes:
    """Open the fingerprint key with an identity.

    Raises:
        DecryptionFailed: No identity fits, or it is damaged.
    """
    key = unseal_whole(description.sealed_fingerprint_key, identities)
    if len(key) != KEY_BYTES:
        raise DecryptionFailed(f"the sealed fingerprint key is not of {KEY_BYTES} bytes", hint=_DAMAGED)
    return key


WRONG_KEY = (
    "The repository may have been exchanged for another one; only somebody who knows why the key changed should move "
    "the key file away and run the command with the identity, which takes the key of goldcopy.json."
)
_DAMAGED = "Put goldcopy.json back from another copy of the repository; without it backups still restore by recover.sh."
_NEWER = "Use a newer Goldcopy; this one leaves the repository as it is."

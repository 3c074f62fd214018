"""The one form of every document in a repository: canonical JSON that carries its own digest and its mac.

The bytes are canonical (sorted keys, no spaces, UTF-8, one final newline), so any changed bit is seen: the reader
refuses bytes that are not exactly what it would write itself. `sha256` is the digest of the document without these two
members, and `mac` the HMAC of the same bytes under the repository's fingerprint key, so that only who may write backups
can make one.
"""

import hashlib
import hmac
import json
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any, NamedTuple

from shared.errors import ManifestInvalid
from shared.units import format_instant


class SignedDocument(NamedTuple):
    """A document whose form and digest are right.

    Attributes:
        members: The document without digest and mac.
        body: What these cover.
        mac: As it is stored, hex.
    """

    members: dict[str, Any]
    body: bytes
    mac: str

    def fits(self, fingerprint_key: bytes) -> bool:
        """Whether it was made with this key."""
        return hmac.compare_digest(self.mac.encode(errors="replace"), _mac(self.body, fingerprint_key).encode())


def canonical_json(document: dict[str, Any]) -> bytes:
    """Print a document in the one form that counts: sorted keys, no spaces, UTF-8, a final newline."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "surrogatepass") + b"\n"


def plain(value: Any) -> Any:
    """Turn a record, and what is in it, into JSON's own types."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def encode_document(document: dict[str, Any], fingerprint_key: bytes) -> bytes:
    """Print a document with its digest and its mac."""
    body = canonical_json(document)
    digest = hashlib.sha256(body).hexdigest()
    return canonical_json({**document, "sha256": digest, "mac": _mac(body, fingerprint_key)})


def decode_document(data: bytes, *, name: str, newest_format: int, hint: str, newer_hint: str) -> SignedDocument:
    """Read a document and refuse anything that is not exactly what Goldcopy writes; the caller judges the mac.

    Args:
        data: The stored bytes.
        name: What it is, for messages.
        newest_format: The highest format version that the caller reads.
        hint: What to do when it is damaged.
        newer_hint: What to do when it is of a newer format.

    Raises:
        ManifestInvalid: Damaged, cut, or of a newer format.
    """
    try:
        document = json.loads(data)
    except ValueError as error:
        raise ManifestInvalid(f"{name} is not readable JSON", hint=hint) from error
    if not isinstance(document, dict) or not isinstance(document.get("format"), int):
        raise ManifestInvalid(f"{name} has no format version", hint=hint)
    if document["format"] > newest_format:
        words = f"{name} is of format {document['format']}, and this version reads up to {newest_format}"
        raise ManifestInvalid(words, hint=newer_hint)
    if canonical_json(document) != data:
        raise ManifestInvalid(f"the bytes of {name} are not in canonical form", hint=hint)
    digest, mac = document.pop("sha256", None), document.pop("mac", None)
    body = canonical_json(document)
    if digest != hashlib.sha256(body).hexdigest() or not isinstance(mac, str):
        raise ManifestInvalid(f"the digest in {name} does not fit its content", hint=hint)
    return SignedDocument(document, body, mac)


def _mac(body: bytes, fingerprint_key: bytes) -> str:
    return hmac.new(fingerprint_key, body, hashlib.sha256).hexdigest()

"""Sealing: bytes to age(zstd(bytes)) and back; anyone can open it with `age -d | zstd -d`."""

import hashlib
import io
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import pyrage  # type: ignore[import-untyped]

from shared.errors import ConfigInvalid, DecryptionFailed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# Level 1 with a hash table of half a megabyte: smaller than gzip's default on COPY text, and smaller as well as faster
# than level 2 (tests/bench). The checksum turns a flipped bit into an error.
_ZSTD_OPTIONS: dict[int, int] = {
    zstd.CompressionParameter.compression_level: 1,
    zstd.CompressionParameter.hash_log: 17,
    zstd.CompressionParameter.checksum_flag: 1,
}
_OUTPUT_BYTES = 1 << 20

_SSH_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A private key that opens sealed bytes; it never prints itself.

    Attributes:
        key: The key, as pyrage holds it.
        recipient: Its public key, or empty for an SSH key, which does not tell.
    """

    key: object = field(repr=False)
    recipient: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """Sealed bytes, ready to be stored.

    Attributes:
        data: The bytes to store.
        sha256: SHA-256 of `data`, hex.
        plain_bytes: Bytes that went in.
        stored_bytes: Length of `data`.
    """

    data: bytes
    sha256: str
    plain_bytes: int
    stored_bytes: int


class Sealer:
    """Compresses what is written at once; encrypts and digests the whole at `finish`.

    The two halves may run in different threads, one after the other: whoever reads calls `write`, whoever uploads
    calls `finish`. Both let other Python threads run meanwhile.
    """

    def __init__(self, recipients: Sequence[str]) -> None:
        """Prepare for one object.

        Args:
            recipients: Age or SSH public keys.

        Raises:
            ConfigInvalid: None is given, or one is not a public key.
        """
        self._recipients = [_parse_recipient(text) for text in check_recipients(recipients)]
        self._compressor = zstd.ZstdCompressor(options=_ZSTD_OPTIONS)
        self._compressed = io.BytesIO()
        self._flushed = False
        self.plain_bytes = 0

    @property
    def waiting_bytes(self) -> int:
        """Compressed bytes that are held in memory until `finish`."""
        return self._compressed.tell()

    def write(self, chunk: bytes | memoryview) -> None:
        """Compress some bytes."""
        self.plain_bytes += len(chunk)
        self._compressed.write(self._compressor.compress(chunk))

    def flush(self) -> None:
        """End the compressed frame, so that `finish` only encrypts; nothing may be written after it."""
        if not self._flushed:
            self._flushed = True
            self._compressed.write(self._compressor.flush())

    def finish(self) -> Sealed:
        """Encrypt and digest what was written; the sealer is used up."""
        self.flush()
        data: bytes = pyrage.encrypt(self._compressed.getvalue(), self._recipients)
        self._compressed = io.BytesIO()
        digest = hashlib.sha256(data).hexdigest()
        return Sealed(data=data, sha256=digest, plain_bytes=self.plain_bytes, stored_bytes=len(data))


def seal(plain: bytes, recipients: Sequence[str]) -> Sealed:
    """Seal some bytes at once.

    Raises:
        ConfigInvalid: The recipients cannot be used.
    """
    sealer = Sealer(recipients)
    sealer.write(plain)
    return sealer.finish()


def unseal(data: bytes, identities: Sequence[Identity]) -> Iterator[bytes]:
    """Open sealed bytes and yield what they hold in pieces of at most 1 MiB.

    The whole ciphertext is authenticated before the first piece comes out, so nothing that an attacker changed is ever
    released. The end was reached well exactly when the iteration ends without an error: act on the result only then.

    Raises:
        DecryptionFailed: No identity fits, or the bytes are damaged or cut.
    """
    compressed = _decrypt(data, identities)
    del data
    decompressor = zstd.ZstdDecompressor()
    try:
        piece = decompressor.decompress(compressed, max_length=_OUTPUT_BYTES)
        while True:
            if piece:
                yield piece
            if decompressor.eof or decompressor.needs_input:
                break
            piece = decompressor.decompress(b"", max_length=_OUTPUT_BYTES)
    except zstd.ZstdError as error:
        raise DecryptionFailed("the compressed bytes inside the sealed object are damaged", hint=_DAMAGED) from error
    if not decompressor.eof or decompressor.unused_data:
        raise DecryptionFailed("the sealed object does not hold exactly one whole zstd frame", hint=_DAMAGED)


def unseal_whole(data: bytes, identities: Sequence[Identity]) -> bytes:
    """Open sealed bytes that are known to be small.

    Raises:
        DecryptionFailed: No identity fits, or the bytes are damaged or cut.
    """
    return b"".join(unseal(data, identities))


def load_identities(text: str) -> tuple[Identity, ...]:
    """Read the private keys of an age identity file, or an SSH private key.

    Args:
        text: Content of the file: one key a line, with comments (#) and empty lines.

    Raises:
        ConfigInvalid: There is none, or a line is not a private key. The message never quotes a line.
    """
    if "BEGIN AGE ENCRYPTED FILE" in text or text.startswith("age-encryption.org/"):
        raise ConfigInvalid(
            "the identity file is itself encrypted with a passphrase",
            hint="Decrypt it first (`age -d identity.age > identity.txt`) and give the result, readable by you alone.",
        )
    found: list[Identity] = [_parse_ssh_identity(match[0]) for match in _SSH_KEY.finditer(text)]
    for number, line in enumerate(_SSH_KEY.sub("", text).splitlines(), start=1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            found.append(_parse_identity(stripped, number))
    if not found:
        raise ConfigInvalid(
            "the identity file holds no private key",
            hint="It should have a line that begins with AGE-SECRET-KEY-1, as `age-keygen` writes it.",
        )
    return tuple(found)


def check_recipients(recipients: Iterable[str]) -> tuple[str, ...]:
    """Return the recipients without duplicates and comments, in the order given.

    Raises:
        ConfigInvalid: None is given, or some are not public keys; all problems are named at once.
    """
    kept: list[str] = []
    problems: list[str] = []
    for text in recipients:
        shortened = " ".join(text.split()[:2]) if text.strip().startswith("ssh-") else text.strip()
        try:
            _parse_recipient(shortened)
        except ConfigInvalid as error:
            problems.append(error.message)
        else:
            if shortened not in kept:
                kept.append(shortened)
    if problems:
        raise ConfigInvalid("; ".join(problems), hint="A recipient looks like age1... or ssh-ed25519 AAAA...")
    if not kept:
        raise ConfigInvalid(
            "no recipient is given, so nobody could ever read the backups",
            hint="Put at least one public key into `recipients`; `age-keygen` or `goldcopy init` makes a pair.",
        )
    return tuple(kept)


def make_identity() -> tuple[str, str]:
    """Make a new key pair.

    Returns:
        The private key (a secret) and the public key.
    """
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


_DAMAGED = "Take the object as damaged: run `goldcopy verify`, and restore from another backup or another copy."
_WRONG_IDENTITY = "Give an identity whose public key is among the backup's recipients (`goldcopy show ID` lists them)."


def _decrypt(data: bytes, identities: Sequence[Identity]) -> bytes:
    if not identities:
        raise DecryptionFailed("no identity is given to open the sealed bytes with", hint=_WRONG_IDENTITY)
    try:
        plain: bytes = pyrage.decrypt(data, [identity.key for identity in identities])
    except pyrage.DecryptError as error:
        # pyrage has one error class; only this one of its messages speaks of the keys
        if "No matching keys" in str(error):
            raise DecryptionFailed("no given identity opens the sealed bytes", hint=_WRONG_IDENTITY) from None
        raise DecryptionFailed("the sealed bytes are damaged or cut", hint=_DAMAGED) from error
    return plain


def _parse_recipient(text: str) -> object:
    if text.upper().startswith("AGE-SECRET-KEY-"):
        raise ConfigInvalid("a private key is listed as a recipient", hint="List its public key, which begins age1.")
    try:
        if text.startswith("ssh-"):
            return pyrage.ssh.Recipient.from_str(text)
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise ConfigInvalid(f"{text[:80]!r} is not a public key", hint="It should look like age1...") from error


def _parse_identity(line: str, number: int) -> Identity:
    if line.upper().startswith("AGE-PLUGIN-"):
        raise ConfigInvalid(
            f"line {number} of the identity file needs an age plugin, which is not supported",
            hint="Use an age or SSH key here; `recover.sh` works with plugins, because it calls the age program.",
        )
    try:
        key = pyrage.x25519.Identity.from_str(line)
    except pyrage.IdentityError:
        raise ConfigInvalid(
            f"line {number} of the identity file is not a private key",
            hint="It should begin with AGE-SECRET-KEY-1; comments begin with #.",
        ) from None
    return Identity(key=key, recipient=str(key.to_public()))


def _parse_ssh_identity(block: str) -> Identity:
    try:
        return Identity(key=pyrage.ssh.Identity.from_buffer(block.encode() + b"\n"), recipient="")
    except pyrage.IdentityError:
        raise ConfigInvalid(
            "the SSH private key in the identity file cannot be read",
            hint="It must be an unencrypted ssh-ed25519 or ssh-rsa key.",
        ) from None

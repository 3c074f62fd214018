"""The worker's own copy of a repository's fingerprint key: a file that only its user can read."""

import os
import secrets
from pathlib import Path

from shared.errors import ConfigInvalid

KEY_BYTES = 32


def make_fingerprint_key() -> bytes:
    """Make a new fingerprint key of 32 random bytes."""
    return secrets.token_bytes(KEY_BYTES)


def find_fingerprint_key(path: Path) -> bytes | None:
    """Read the key if its file is there.

    Raises:
        ConfigInvalid: The file or its folder is closed to this user, or it does not hold a key.
    """
    try:
        is_there = path.exists()
    except PermissionError as error:
        raise _closed(path) from error
    return read_fingerprint_key(path) if is_there else None


def read_fingerprint_key(path: Path) -> bytes:
    """Read the key from its file (64 hex digits).

    Raises:
        ConfigInvalid: The file is missing, unreadable or does not hold a key.
    """
    try:
        key = bytes.fromhex(path.read_text("ascii").strip())
    except PermissionError as error:
        raise _closed(path) from error
    except OSError as error:
        raise ConfigInvalid(f"the fingerprint key {path} cannot be read: {error.strerror}", hint=_RESTORE_IT) from error
    except ValueError:
        raise ConfigInvalid(f"{path} does not hold a fingerprint key", hint=_RESTORE_IT) from None
    if len(key) != KEY_BYTES:
        raise ConfigInvalid(f"{path} does not hold a fingerprint key of {KEY_BYTES} bytes", hint=_RESTORE_IT)
    return key


def write_fingerprint_key(path: Path, key: bytes) -> None:
    """Write the key to its file, readable by this user alone.

    Raises:
        ConfigInvalid: Another key is there already, or the file cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        if read_fingerprint_key(path) != key:
            raise ConfigInvalid(
                f"{path} holds the fingerprint key of another repository",
                hint="Give each repository a file of its own, or move this one away.",
            ) from None
        return
    except OSError as error:
        raise ConfigInvalid(
            f"the fingerprint key {path} cannot be written: {error.strerror}", hint="Make its folder writable."
        ) from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())


def _closed(path: Path) -> ConfigInvalid:
    return ConfigInvalid(
        f"the fingerprint key {path} cannot be read: permission denied",
        hint=f"Run Goldcopy as the user who owns {path.parent}, or give this user the right to read and write there.",
    )


_RESTORE_IT = (
    "Get it back from the repository with the identity: the field sealed_fingerprint_key of goldcopy.json holds it, "
    "and any command that is given the identity reads it from there."
)

"""The one small interface to a place that holds objects; `local` and `s3` implement it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """What a store says of an object.

    Attributes:
        key: Key below the store's root, with forward slashes.
        stored_bytes: Size.
        modified_at: When it was written, aware UTC.
        sha256: Hex digest that the store itself keeps, where it keeps one; never taken from a listing.
    """

    key: str
    stored_bytes: int
    modified_at: datetime
    sha256: str | None = None


class ObjectStore(Protocol):
    """Objects of at most a few dozen MiB each, written whole and once.

    Every method raises only `StoreProblem` and its subclasses. Retryable faults have already been retried with
    backoff when a method raises; calling again later is allowed, a write that was cut leaves no object.
    """

    @property
    def url(self) -> str:
        """Where it is, for people; holds no secret."""
        ...

    def put(self, key: str, data: bytes, *, replace: bool = False) -> StoredObject:
        """Make `data` durable under `key`, checksummed on the way, and say what was stored.

        Raises:
            ObjectExists: The key is taken and `replace` is false.
        """
        ...

    def get(self, key: str) -> bytes:
        """Return the object's bytes as the store gives them; the caller compares digests.

        Raises:
            ObjectMissing: There is no such object.
        """
        ...

    def stat(self, key: str) -> StoredObject | None:
        """Ask for one object by its key, or None where there is none."""
        ...

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose key begins with `prefix`; those of one folder in the order of their names' bytes."""
        ...

    def folders(self, prefix: str) -> tuple[str, ...]:
        """Return the names of the folders directly below `prefix`, which ends with a slash or is empty."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; one that is gone already is no error."""
        ...

    def discard_unfinished(self, *, before: datetime) -> int:
        """Remove what cut writes left behind (temporary files, multipart uploads) begun before an instant.

        Returns:
            How many were removed.
        """
        ...

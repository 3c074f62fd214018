"""The shapes in which content travels to the store: bundles of small files, parts of large ones, and room for both."""

import hmac
import tarfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple

from shared.domain.manifest import ObjectRecord
from shared.repository.sealing import Sealer

PART_BYTES = 32 << 20  # plain bytes of one stored part of a large file
BUNDLE_BYTES = 8 << 20  # a bundle is closed when its tar has grown to this
BUNDLED_BELOW_BYTES = 1 << 20  # smaller files travel in bundles

_TAR_BLOCK = tarfile.BLOCKSIZE

Place = ObjectRecord | Future[ObjectRecord]


class Content:
    """Counts and fingerprints the content of one file while it passes."""

    def __init__(self, key: bytes) -> None:
        """Begin a file; `key` is the repository's fingerprint key."""
        self._digest = hmac.new(key, digestmod="sha256")
        self.plain_bytes = 0
        self.rows = 0

    def update(self, piece: memoryview) -> None:
        """Take in the next bytes."""
        self._digest.update(piece)
        self.plain_bytes += len(piece)

    def count_rows(self, chunk: bytes) -> None:
        """Count the line feeds of the next bytes."""
        self.rows += chunk.count(b"\n")

    @property
    def fingerprint(self) -> str:
        """The keyed fingerprint of everything so far, hex."""
        return self._digest.hexdigest()


class PartName(NamedTuple):
    """What the name of a part is made of: its place in the file, and all of the content up to its end."""

    start_offset: int
    end_offset: int
    fingerprint: str

    def keyed(self, key: bytes) -> str:
        """Return the name, hex."""
        text = f"part {self.start_offset} {self.end_offset} {self.fingerprint}"
        return hmac.new(key, text.encode("ascii"), "sha256").hexdigest()


class FileCutter:
    """Takes in one file: holds a small one, cuts a large one into parts while it is read.

    A part is handed on when the next byte arrives, so the last one is still here for the trailer.

    Attributes:
        content: What was counted and fingerprinted so far.
        places: The parts that were handed on.
    """

    def __init__(
        self,
        content: Content,
        recipients: Sequence[str],
        hand_on: Callable[[PartName, Sealer], Place],
        *,
        is_large: bool = False,
    ) -> None:
        """Begin a file.

        Args:
            content: Of this file, new.
            recipients: Public keys to seal to.
            hand_on: Takes a full part.
            is_large: Whether the file is known to be too large for a bundle.
        """
        self.content = content
        self.places: tuple[Place, ...] = ()
        self._recipients = recipients
        self._hand_on = hand_on
        self._held: list[memoryview] = []
        self._sealer = Sealer(recipients) if is_large else None
        self._start_offset = 0

    @property
    def held(self) -> Sequence[memoryview] | None:
        """The whole content while it is small enough for a bundle, else None."""
        return self._held if self._sealer is None else None

    def write(self, chunk: bytes) -> None:
        """Take in the next bytes."""
        self.content.count_rows(chunk)
        rest = memoryview(chunk)
        while rest:
            if self._part_bytes == PART_BYTES:
                self._end_part()
            piece, rest = rest[: PART_BYTES - self._part_bytes], rest[PART_BYTES - self._part_bytes :]
            self.content.update(piece)
            if self._sealer is not None:
                self._sealer.write(piece)
            else:
                self._hold(piece)

    def last_part(self, trailer: bytes) -> tuple[PartName, Sealer]:
        """End the file and return its last part, which may be its only one."""
        sealer = self._sealer or Sealer(self._recipients)
        name = PartName(self._start_offset, self.content.plain_bytes + len(trailer), self.content.fingerprint)
        sealer.write(trailer)
        return name, sealer

    @property
    def _part_bytes(self) -> int:
        return self.content.plain_bytes - self._start_offset

    def _hold(self, piece: memoryview) -> None:
        self._held.append(piece)
        if self.content.plain_bytes >= BUNDLED_BELOW_BYTES:
            self._sealer = Sealer(self._recipients)
            for held in self._held:
                self._sealer.write(held)
            self._held = []

    def _end_part(self) -> None:
        name, sealer = self.last_part(b"")
        self.places += (self._hand_on(name, sealer),)
        self._start_offset = self.content.plain_bytes
        self._sealer = Sealer(self._recipients)


@dataclass(slots=True)
class Bundle:
    """A tar that is being filled; its members are named by their content, because paths differ from dump to dump."""

    sealer: Sealer
    place: Future[ObjectRecord] = field(default_factory=Future)
    fingerprints: list[str] = field(default_factory=list)
    tar_bytes: int = 0
    plain_bytes: int = 0

    def add(self, member: str, fingerprint: str, content: Sequence[bytes | memoryview]) -> None:
        """Append one member."""
        size = sum(len(piece) for piece in content)
        header = tarfile.TarInfo(member)
        header.size, header.mode = size, 0o600
        padding = -size % _TAR_BLOCK
        for piece in (header.tobuf(tarfile.USTAR_FORMAT), *content, bytes(padding)):
            self.sealer.write(piece)
        self.tar_bytes += _TAR_BLOCK + size + padding
        self.plain_bytes += size
        self.fingerprints.append(fingerprint)

    @property
    def is_full(self) -> bool:
        """Whether it should be closed."""
        return self.tar_bytes >= BUNDLE_BYTES

    def end(self, key: bytes) -> str:
        """Write the end of the tar and return the bundle's name, hex."""
        self.sealer.write(bytes(2 * _TAR_BLOCK))
        return hmac.new(key, "".join(self.fingerprints).encode("ascii"), "sha256").hexdigest()


class Room:
    """Bounds the bytes in flight; something larger than the whole room passes when it is alone."""

    def __init__(self, size_bytes: int) -> None:
        """Begin with everything free."""
        self._size_bytes = size_bytes
        self._taken_bytes = 0
        self._changed = threading.Condition()

    def take(self, size_bytes: int) -> None:
        """Wait until there is room, and take it."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken_bytes or self._taken_bytes + size_bytes <= self._size_bytes)
            self._taken_bytes += size_bytes

    def give(self, size_bytes: int) -> None:
        """Give room back."""
        with self._changed:
            self._taken_bytes -= size_bytes
            self._changed.notify_all()

    def open_wide(self) -> None:
        """Let everyone pass who waits: the run is over."""
        with self._changed:
            self._size_bytes = 1 << 62
            self._changed.notify_all()

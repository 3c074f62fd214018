"""Refuse work that the scratch disk cannot hold, before it starts."""

import os
from pathlib import Path

from shared.domain.source import DumpPolicy
from shared.errors import SpaceExhausted
from shared.units import format_bytes

_MARGIN_BYTES = 128 << 20


def free_bytes(folder: Path) -> int:
    """Bytes that an ordinary user may still write on the disk of `folder` or its nearest existing parent."""
    while not folder.exists():
        folder = folder.parent
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def require_scratch_space(folder: Path, estimated_bytes: int, policy: DumpPolicy) -> None:
    """Make sure that a dump fits: it never takes more than the limit, since pg_dump is paused at it.

    Raises:
        SpaceExhausted: Too little is free.
    """
    require_bytes(folder, min(estimated_bytes, policy.scratch_limit_bytes), "the dump")


def require_bytes(folder: Path, needed_bytes: int, what: str) -> None:
    """Make sure that `needed_bytes` and a margin are free.

    Raises:
        SpaceExhausted: Too little is free.
    """
    free = free_bytes(folder)
    if free < needed_bytes + _MARGIN_BYTES:
        raise SpaceExhausted(
            f"{what} needs about {format_bytes(needed_bytes + _MARGIN_BYTES)} in {folder}, "
            f"and {format_bytes(free)} are free",
            hint="Free space there, or point `[scratch] folder` to a larger disk.",
        )

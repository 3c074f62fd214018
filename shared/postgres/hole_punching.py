"""Give back the disk space of a file's beginning while its end still grows (Linux)."""

import ctypes
import os
from pathlib import Path

_KEEP_SIZE, _PUNCH_HOLE = 0x01, 0x02
_PAGE_BYTES = 4096


def punch_hole(descriptor: int, path: Path, offset: int, length: int) -> bool:
    """Free the whole pages of a range of a file, whose size and later content stay as they are.

    Args:
        descriptor: Only asked for its file system; the file is opened anew for writing.
        path: The file.
        offset: First byte that is no longer needed.
        length: How many bytes are not.

    Returns:
        Whether the system can do it; where it cannot, the space is freed when the file is deleted.
    """
    fallocate = getattr(ctypes.CDLL(None, use_errno=True), "fallocate", None)
    first = -(-offset // _PAGE_BYTES) * _PAGE_BYTES
    last = (offset + length) // _PAGE_BYTES * _PAGE_BYTES
    if fallocate is None or last <= first or os.fstat(descriptor).st_size < last:
        return fallocate is not None
    writable = os.open(path, os.O_WRONLY)
    try:
        result = fallocate(
            writable, _KEEP_SIZE | _PUNCH_HOLE, ctypes.c_longlong(first), ctypes.c_longlong(last - first)
        )
    finally:
        os.close(writable)
    return bool(result == 0)

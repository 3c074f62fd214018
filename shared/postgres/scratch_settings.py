"""Settings of a throwaway server: fast to load, nothing durable, sized for the machine."""

import os
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  (only asked for its size)
_MIB = 2**20
_DEFAULT_MEMORY_BYTES = 4 * 2**30
_ENOUGH_SHARED_MEMORY_BYTES = 1 << 30


def server_settings(memory_bytes: int, shared_memory_bytes: int) -> dict[str, str]:
    """Return settings for a server that lives for one restore.

    Args:
        memory_bytes: Memory the machine or container can give.
        shared_memory_bytes: Free space of /dev/shm; 64 MB in a container that nobody configured.
    """
    shared_buffers = _clamp(memory_bytes // 8, 64 * _MIB, 1024 * _MIB)
    maintenance = _clamp(memory_bytes // 16, 64 * _MIB, 512 * _MIB)
    return {
        "listen_addresses": "",
        "port": "5432",
        "max_connections": "60",
        # Losing everything in a crash is fine here; waiting for a disk is not.
        "fsync": "off",
        "full_page_writes": "off",
        "synchronous_commit": "off",
        "wal_level": "minimal",  # loading a table that its own transaction made writes no log at all
        "max_wal_senders": "0",
        "archive_mode": "off",
        "max_wal_size": "8GB",
        "checkpoint_timeout": "1h",
        "autovacuum": "off",
        "jit": "off",
        "shared_buffers": f"{shared_buffers // _MIB}MB",
        "maintenance_work_mem": f"{maintenance // _MIB}MB",
        "work_mem": "32MB",
        "max_locks_per_transaction": "1024",  # thousands of tables in one transaction
        "dynamic_shared_memory_type": "posix" if shared_memory_bytes >= _ENOUGH_SHARED_MEMORY_BYTES else "mmap",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "lc_messages": "C",
        "datestyle": "ISO, MDY",
        # What the server says may end up in a report: no statements and no row values.
        "log_min_messages": "error",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
    }


def machine_memory_bytes() -> int:
    """Return the memory that is free on this machine, or what the container may use when that is less."""
    available = _DEFAULT_MEMORY_BYTES
    for line in _read(_MEMINFO).splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
    limit = _read(_CGROUP_LIMIT).strip()
    return min(available, int(limit)) if limit.isdigit() else available


def free_shared_memory_bytes() -> int:
    """Return the free space of /dev/shm; 0 where there is none."""
    try:
        found = os.statvfs(_SHARED_MEMORY)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize


def configuration_text(settings: dict[str, str]) -> str:
    """Return the text of a postgresql.conf."""
    return "".join(f"{name} = '{_quoted(value)}'\n" for name, value in settings.items())


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")


def _clamp(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""

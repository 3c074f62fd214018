"""Parse and print bytes, durations and instants: the only place that does."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

_DURATION = re.compile(r"([0-9]+)\s*(s|m|h|d|w|y)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_LONGEST_YEARS = 100
_MOST_BYTES = 2**63 - 1
# From what value on a unit is used, its seconds, its sign, and from what value on it is no more.
_ALIKE = (
    (48 * 3600.0, 86400, "d", math.inf),
    (2 * 3600.0, 3600, "h", 240 * 3600.0),
    (120.0, 60, "min", 600 * 60.0),
    (0.0, 1, "s", 600.0),
)
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)")
_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}


def parse_duration(text: str) -> timedelta:
    """Read "24h", "7d", "90m" or "1h 30m"; a year is 365 days.

    Raises:
        ValueError: The text is not a duration, or one of more than 100 years.
    """
    stripped = text.strip()
    parts = _DURATION.findall(stripped)
    if not parts or _DURATION.sub("", stripped).strip():
        raise ValueError(f"{text!r} is not a duration; write for example 30m, 24h or 7d")
    seconds = sum(int(count) * _SECONDS[unit] for count, unit in parts)
    if seconds > _LONGEST_YEARS * _SECONDS["y"]:
        raise ValueError(f"{text!r} is too long; a duration is at most {_LONGEST_YEARS}y")
    return timedelta(seconds=seconds)


def parse_bytes(text: str) -> int:
    """Read "512 MiB" or "2GB".

    Raises:
        ValueError: The text is not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a size; write for example 512 MiB or 2 GB")
    size_bytes = float(match[1]) * _BYTES[match[2]]
    if size_bytes > _MOST_BYTES:
        raise ValueError(f"{text!r} is too much; a size is at most {_MOST_BYTES // 10**12} TB")
    return int(size_bytes)


def format_bytes(size_bytes: int) -> str:
    """Print a size for people: 999 B, 1.2 kB, 34.5 MB, 1.2 GB (powers of ten)."""
    if abs(size_bytes) < 1000:
        return f"{size_bytes} B"
    value = float(size_bytes)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if abs(value) < 999.95 or unit == "TB":
            return f"{value:.1f} {unit}"
    raise AssertionError("unreachable")


def counted(count: int, noun: str, plural: str = "") -> str:
    """Print a count with its noun: 1 table, 2 tables, 1,234 entries (the plural is the noun with an s unless given)."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def format_duration(seconds: float) -> str:
    """Print a duration for people: 0.4 s, 12 s, 3 min 20 s, 5 h 10 min, 3 d 4 h."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    minutes = whole // 60
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
    hours = minutes // 60
    return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"


def format_instant(at: datetime) -> str:
    """Print an aware instant as RFC 3339 in UTC with Z, microseconds only where there are any.

    Raises:
        ValueError: The instant is naive.
    """
    if at.tzinfo is None:
        raise ValueError("a naive instant has no meaning here")
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_instant(text: str) -> datetime:
    """Read what `format_instant` printed.

    Raises:
        ValueError: The text is not an RFC 3339 instant with a zone.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return at.astimezone(UTC)


def format_alike(*seconds: float) -> tuple[str, ...]:
    """Print durations that stand in one sentence in one unit, as coarse as still tells them apart: 98 h and 38 h.

    Those of very different size have units of their own: 45 s and 36 d. Values that differ never read the same while
    seconds with one decimal can tell them apart.
    """
    texts: dict[float, str] = {}
    while rest := {value for value in seconds if value not in texts}:
        smallest = min((abs(value) for value in rest if value), default=0.0)
        start = next(number for number, unit in enumerate(_ALIKE) if smallest >= unit[0])
        similar = [value for value in rest if abs(value) < _ALIKE[start][3]]
        texts |= zip(similar, _in_one_unit(similar, start), strict=True)
    return tuple(texts[value] for value in seconds)


def _in_one_unit(seconds: Sequence[float], start: int) -> list[str]:
    """Print different durations in the unit with this number, or a finer one; where none suits, in several."""
    largest = max(map(abs, seconds))
    for _, unit_seconds, unit, limit in _ALIKE[start:]:
        for decimals in (0, 1):
            texts = [f"{value / unit_seconds:.{decimals}f} {unit}" for value in seconds]
            is_common = round(largest / unit_seconds, decimals) * unit_seconds < limit  # as it would be printed
            if is_common and len(set(texts)) == len(seconds):
                return texts
    return [_in_units(value) for value in seconds]


def _in_units(seconds: float) -> str:
    """Print a duration exactly: 36 d 3 min; seconds have a decimal where a minute would not hold them."""
    rest, parts = round(abs(seconds), 1), list[str]()
    for least, unit_seconds, unit, _ in _ALIKE[:-1]:
        if rest >= (least if not parts else unit_seconds):
            parts.append(f"{int(rest // unit_seconds)} {unit}")
            rest %= unit_seconds
    if rest or not parts:
        parts.append(f"{round(rest, 1):g} s" if parts else f"{rest:.1f} s")
    return f"{'-' * (seconds < 0)}{' '.join(parts)}"


def format_minute(at: datetime) -> str:
    """Print an aware instant for people, to the minute: 2026-11-21 02:00 UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"

"""The one place that makes text from outside harmless: names, reasons, messages, whatever a database or a person wrote.

Streamlit reads most text as markdown: an image would be fetched by the viewer's browser, a link would pass for ours, a
directive would fake a badge. `esc` is for words inside our own markdown, `free` for whole messages, `advice` for what
to do next, `plain` for widgets that show text as it is (tables, inputs, charts), `html_text` for our own HTML.
"""

import html
import re
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.units import format_bytes, format_duration

# Marks that reorder what is read, that show nothing, or that end a line where none is expected.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u115f\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e0fff\ud800-\udfff]"
)
_WORD_JOINER = "\u2060"
_LINK_BEGINS = re.compile(r"(?=://)|(?<=www)(?=\.)|(?=@)|(?<=mailto)(?=:)|(?<=xmpp)(?=:)", re.IGNORECASE)
LONGEST = 600


def plain(value: object, *, longest: int = LONGEST) -> str:
    """Return text on one line without marks that deceive the eye, cut to a sane length; not for markdown."""
    line = " ".join(_UNSEEN.sub("\N{REPLACEMENT CHARACTER}", str(value).replace("\n", " ").replace("\t", " ")).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def esc(value: object) -> str:
    """Return text for use inside markdown of our own: it stays text, whatever stands in it."""
    parted = _LINK_BEGINS.sub(_WORD_JOINER, plain(value))
    return re.sub(rf"[^\w\s{_WORD_JOINER}]|_", lambda match: f"&#{ord(match.group())};", parted)


def free(value: object) -> str:
    """Return a whole message for markdown, as code: nothing in it is read as anything."""
    return f"`` {plain(value).replace('`', chr(39))} ``" if plain(value) else ""


def advice(value: object) -> str:
    """Return a sentence of ours with commands between backticks, for markdown: text stays text, commands are code."""
    pieces = plain(value).split("`")
    if len(pieces) % 2 == 0:
        return free(value)  # a name with a backtick in it: which pieces are commands, nobody can tell
    return "".join(free(piece.strip()) if number % 2 else _spaced(piece) for number, piece in enumerate(pieces))


def _spaced(piece: str) -> str:
    """Escape, and keep the blank at either end."""
    return f"{' ' * piece.startswith(' ')}{esc(piece)}{' ' * piece.endswith(' ')}"


def html_text(value: object) -> str:
    """Return text for use in HTML of our own, in elements and in quoted attributes."""
    return html.escape(plain(value), quote=True)


def zone(name: str | None) -> tzinfo:
    """Return the viewer's time zone, UTC where the browser names none that is known."""
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def instant(at: datetime | None, where: tzinfo, *, nothing: str = "never") -> str:
    """Print an instant in the viewer's zone and name the zone: `2026-11-21 03:00 CET`."""
    return nothing if at is None else f"{local(at, where):%Y-%m-%d %H:%M %Z}"


def local(at: datetime, where: tzinfo) -> datetime:
    """Return an instant in the viewer's zone; in UTC where no calendar reaches that far."""
    try:
        return at.astimezone(where)
    except (OverflowError, ValueError):
        return at.astimezone(UTC)


def ago(at: datetime, now: datetime) -> str:
    """Print how long ago something was: `3 h ago`; always beside the instant itself."""
    return f"{span(max(0.0, (now - at).total_seconds()))} ago"


def span(seconds: float) -> str:
    """Print a duration as the command line does, in whole seconds at least: `40 s`, `12 min`, `3 d 8 h`."""
    return format_duration(seconds) if seconds >= 9.5 else f"{round(seconds)} s"


def count(number: int, one: str, many: str = "") -> str:
    """Print a number with its noun: `1 backup`, `1,204 backups`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(size_bytes: int | None) -> str:
    """Print a size, or a dash."""
    return "–" if size_bytes is None else format_bytes(size_bytes)


def scale_of(largest_bytes: float) -> tuple[float, str]:
    """Return how many bytes one unit has, and its name, for values of which this is the largest."""
    units = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
    return next((item for item in units if largest_bytes >= item[0]), (1.0, "B"))


def duration(seconds: float | None) -> str:
    """Print how long something took, or a dash."""
    return "–" if seconds is None else format_duration(seconds)


def beside(seconds: float, limit_seconds: float) -> tuple[str, str]:
    """Print a duration and its limit as the command line does: `6 h 40 min` and `4 h`."""
    return format_duration(seconds), format_duration(limit_seconds)

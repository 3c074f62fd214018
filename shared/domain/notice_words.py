"""Words that all notices share: instants, ages, counts, and what is lost if the database is lost now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

from shared.units import format_duration

Links = tuple[tuple[str, str], ...]
_NAMES_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """What a source could be brought back to at an instant.

    Attributes:
        newest_at: Recovery point of the newest complete backup that is not known to be damaged.
        proven_at: Recovery point of the newest proven one.
        rpo: The largest loss that was agreed.
    """

    newest_at: datetime | None
    proven_at: datetime | None
    rpo: timedelta

    def sentence(self, now: datetime) -> str:
        """Say what would be lost now, for how long that was agreed, and what of it is proven."""
        if self.newest_at is None:
            return "There is no complete backup: if the database is lost now, all of it is lost."
        lost = now - self.newest_at
        left = self.rpo - lost
        reached = f", reached in {age(left)}" if left > timedelta(0) else ""
        return (
            f"If the database is lost now, {age(lost)} of data go with it: everything since {moment(self.newest_at)}"
            f" (agreed: at most {age(self.rpo)}{reached}). {self.proven_sentence(now)}"
        )

    def proven_sentence(self, now: datetime) -> str:
        """Say how old the newest backup is that was restored and compared."""
        if self.proven_at is None:
            return "No backup is proven yet."
        if self.proven_at == self.newest_at:
            return "The backup from then is proven."
        return f"The newest proven backup is {age(now - self.proven_at)} old."


def moment(at: datetime) -> str:
    """Print an instant for people: `2026-11-21 03:10 UTC`."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def clock(at: datetime, now: datetime) -> str:
    """Print only the time where the day is today's: `03:10 UTC`."""
    return f"{at.astimezone(UTC):%H:%M} UTC" if at.astimezone(UTC).date() == now.astimezone(UTC).date() else moment(at)


def age(length: timedelta) -> str:
    """Print an age in hours, because objectives are agreed in hours, to the nearest: `8 min`, `26 h`, `5 d`."""
    seconds = max(0.0, length.total_seconds())
    if seconds < 60:
        return "less than a minute"
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if minutes < 60:
        return f"{minutes} min"
    return f"{hours} h" if hours < 96 else f"{round(seconds / 86400)} d"


def duration(seconds: float | None) -> str:
    """Print how long something took; a dash where nobody knows."""
    return "–" if seconds is None else format_duration(seconds)


def count(number: int, what: str) -> str:
    """Print a count with its noun: `1 table`, `1,234 rows`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Name the first ones, and say how many more there are."""
    shown = ", ".join(names[:_NAMES_SHOWN])
    rest = len(names) - _NAMES_SHOWN
    return f"{shown} and {rest:,} more" if rest > 0 else shown


def first_words(text: str, limit: int = 120) -> str:
    """Return the beginning of an error for a title: its first line, not too long."""
    lines = text.strip().splitlines()
    line = lines[0].strip() if lines else ""
    return line if len(line) <= limit else f"{line[: limit - 2].rstrip()} …"


def cut_fact(label: str, text: str) -> Links:
    """Return the whole text as a fact where a title holds only its beginning."""
    return ((label, text.strip()),) if first_words(text) != text.strip() else ()


def name_of(source: str) -> str:
    """Name what a notice is about."""
    return source or "Goldcopy itself"


def page_links(app_url: str, source: str = "", run_url: str = "") -> Links:
    """Return links to the page of a source and to the Prefect run, as far as they are known.

    Args:
        app_url: Where the app is reached; empty where there is none.
        source: Whose page; empty for the first page.
        run_url: Page of the Prefect run; empty where there was none.
    """
    path = f"source?{urlencode({'source': source}, quote_via=quote)}" if source else ""
    page = (("Open Goldcopy", f"{app_url.rstrip('/')}/{path}"),) if app_url else ()
    return (*page, ("Prefect run", run_url)) if run_url else page

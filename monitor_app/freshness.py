"""How old the facts are: an old green page is the worst mistake this app could make."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.units import format_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class LastSigns:
    """The newest signs of life in the catalog; None where there is none.

    Attributes:
        watched_at: When the last `goldcopy watch` ended.
        written_at: When a backup, test, cleanup or run was last recorded.
    """

    watched_at: datetime | None
    written_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """Whether the facts can be trusted to be of now.

    Attributes:
        at: The sign of life that counts; None for a catalog in which nothing ever happened.
        is_stale: Whether it is too old.
        sentence: What to say about it; empty while all is well.
    """

    at: datetime | None
    is_stale: bool
    sentence: str = ""


def judge(signs: LastSigns, now: datetime, stale_after: timedelta) -> Freshness:
    """Judge the age of the facts.

    Where `goldcopy watch` ever ran, only that counts: a click in the app writes too, and must not make old facts new.
    """
    at = signs.watched_at or signs.written_at
    if at is None or now - at <= stale_after:
        return Freshness(at=at, is_stale=False)
    age = format_duration((now - at).total_seconds())
    what = "Nobody has looked after the sources" if signs.watched_at else "Nothing was written to the catalog"
    return Freshness(
        at=at,
        is_stale=True,
        sentence=f"{what} for {age}, so everything on this page may be out of date. Whatever it says: check that "
        "`goldcopy up`, or the Prefect server and its worker, is running.",
    )

"""How old the facts are: an old green page is the worst mistake this app could make."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.units import format_duration

# Clocks of two machines differ by less.
_CLOCKS_DIFFER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastSigns:
    """The newest signs of life in the catalog; None where there is none.

    Attributes:
        watched_at: When the last `goldcopy watch` ended.
        run_at: When a backup, test, verification or cleanup last was at work; clicks in the app are none of these.
    """

    watched_at: datetime | None
    run_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """Whether the facts can be trusted to be of now.

    Attributes:
        at: The sign of life that counts; None for a catalog in which nothing ever happened.
        is_stale: Whether it is too old, or cannot be.
        title: What to say about it in a few words; empty while all is well, like `sentence`.
        sentence: The same in full.
    """

    at: datetime | None
    is_stale: bool
    title: str = ""
    sentence: str = ""


def judge(signs: LastSigns, now: datetime, stale_after: timedelta) -> Freshness:
    """Judge the age of the facts.

    Where `goldcopy watch` ever ran, only that counts: it is what looks after the sources.
    """
    at = signs.watched_at or signs.run_at
    if at is not None and at - now > _CLOCKS_DIFFER:
        return Freshness(
            at=at,
            is_stale=True,
            title="It is not known how old these facts are: the last ones are of a time to come,",
            sentence="The clock was wrong when they were recorded, or it is wrong now. Whatever this page says: check "
            "the clocks of this machine and of the worker.",
        )
    if at is None or now - at <= stale_after:
        return Freshness(at=at, is_stale=False)
    age = format_duration((now - at).total_seconds())
    what = "Nobody has looked after the sources" if signs.watched_at else "Nothing was at work"
    return Freshness(
        at=at,
        is_stale=True,
        title="These facts are old: the last ones are of",
        sentence=f"{what} for {age}, so everything on this page may be out of date. Whatever it says: check that "
        "`goldcopy up`, or the Prefect server and its worker, is running.",
    )

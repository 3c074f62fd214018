"""When nobody watched is known afterwards, on both databases, and is the same whenever it is asked."""

from datetime import timedelta

from shared.catalog.engine import Catalog
from shared.catalog.watch_records import WatchResult
from shared.domain.period import Stretch
from tests.support.catalogs import NOW

HOUR = timedelta(hours=1)
END = NOW + 100 * HOUR


def look(catalog: Catalog, hours: float, *, at_changes: bool = True) -> None:
    if not at_changes:
        catalog.note_watched(NOW + hours * HOUR)
        return
    record = catalog.watch_record(changes_since=NOW)
    assert record is not None
    assert catalog.record_watch(record.version, WatchResult(), NOW + hours * HOUR)


def test_without_a_watch_there_is_nothing_to_say(catalog: Catalog) -> None:
    assert catalog.unwatched(NOW, END) == ()


def test_silence_is_kept_whichever_way_the_next_look_is_recorded(catalog: Catalog) -> None:
    catalog.begin_watch(NOW + 3 * HOUR)
    for hours in (3.2, 3.9, 4.5):
        look(catalog, hours)
    look(catalog, 14.5)
    look(catalog, 20.5, at_changes=False)
    look(catalog, 21.4, at_changes=False)

    assert catalog.unwatched(NOW, NOW + 22 * HOUR) == (
        Stretch(NOW, NOW + 3 * HOUR),
        Stretch(NOW + 4.5 * HOUR, NOW + 20.5 * HOUR),
    )
    assert catalog.unwatched(NOW + 10 * HOUR, NOW + 12 * HOUR) == (Stretch(NOW + 10 * HOUR, NOW + 12 * HOUR),)
    assert catalog.unwatched(NOW + 21 * HOUR, NOW + 22 * HOUR) == ()


def test_a_silence_that_lasts_is_told_the_same_after_it_ended(catalog: Catalog) -> None:
    catalog.begin_watch(NOW)
    look(catalog, 50)
    before = catalog.unwatched(NOW, END)
    assert before == (Stretch(NOW, END),)

    look(catalog, 130)
    assert catalog.unwatched(NOW, END) == before
    assert catalog.unwatched(NOW, NOW + 50 * HOUR) == (Stretch(NOW, NOW + 50 * HOUR),)


def test_whoever_lost_to_another_watcher_recorded_no_look(catalog: Catalog) -> None:
    catalog.begin_watch(NOW)
    record = catalog.watch_record(changes_since=NOW)
    assert record is not None
    look(catalog, 0.5)
    assert not catalog.record_watch(record.version, WatchResult(), NOW + 90 * HOUR)
    assert catalog.unwatched(NOW, NOW + 90 * HOUR) == (Stretch(NOW + 0.5 * HOUR, NOW + 90 * HOUR),)
    look(catalog, 90)
    assert catalog.unwatched(NOW, NOW + 90 * HOUR) == (Stretch(NOW + 0.5 * HOUR, NOW + 90 * HOUR),)

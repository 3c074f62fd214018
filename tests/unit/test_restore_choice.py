"""Which backup a restore test takes."""

import pytest

from shared.domain.restore_testing import Pick, choose_backup

IDS = ["20261119T020000Z-app-1111", "20261121T020000Z-app-7f3a", "20261121T020000Z-app-2222"]


@pytest.mark.parametrize(("pick", "chosen"), [(Pick.NEWEST, IDS[2]), (Pick.OLDEST, IDS[0]), (Pick.RANDOM, IDS[1])])
def test_a_backup_is_chosen_by_time_or_by_lot(pick: Pick, chosen: str) -> None:
    assert choose_backup(IDS, pick, lambda ordered: ordered[1]) == chosen


def test_no_backup_is_no_choice() -> None:
    assert choose_backup([], Pick.NEWEST, lambda ordered: ordered[0]) is None


def test_a_named_backup_is_not_chosen() -> None:
    with pytest.raises(ValueError, match="not chosen"):
        choose_backup(IDS, Pick.NAMED, lambda ordered: ordered[0])

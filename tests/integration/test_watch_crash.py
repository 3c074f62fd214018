"""A watcher that dies after any of its writes, or around any delivery: the next one goes on, nothing is lost."""

import shutil
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from shared.catalog.engine import Catalog, open_catalog
from shared.domain.backup import BackupKind
from shared.domain.channel import Channel, DeliveryResult
from shared.domain.escalation import Escalation
from shared.domain.notice import Notice
from shared.domain.source_watch import WatchPolicy
from shared.errors import SourceUnreachable
from tests.integration.test_cleanup_crash import CrashingDatabase, Fuse
from tests.support.catalogs import complete, make_id, make_manifest
from tests.support.faulty_store import SimulatedCrash
from tests.support.watch_scene import BEGIN, WatchScene
from tests.support.watch_story import EVERY

# A thread that dies of the simulated crash says so; that is what is simulated.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

FOREVER = 10**9
POLICY = WatchPolicy(escalation=Escalation(channels=(("mail",), ("phone",), ())))


class Watchers:
    """One catalog, channels, and watchers of which any may die."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fuse = Fuse(FOREVER)
        catalog = open_catalog(f"sqlite:///{path}", actor="tester")
        self.scene = WatchScene(Catalog(CrashingDatabase(catalog._database, self.fuse), "tester"), "mail", "phone")
        self.catalog = catalog
        self.scene.change(policy=POLICY, send=self.send)
        self.deaths = 0

    def send(self, channel: Channel, notice: Notice) -> DeliveryResult:
        """Die before sending, or after it and before that is recorded."""
        self.fuse.burn()
        result = self.scene.receivers.send(channel, notice)
        self.fuse.burn()
        return result

    def watch(self) -> None:
        """Look; a watcher that dies is followed by one that lives."""
        with suppress(SimulatedCrash):
            self.scene.watch()
        if self.fuse.left <= 0:
            self.fuse.left = FOREVER
            self.deaths += 1

    def begin(self) -> None:
        """All is green, then there is a good backup and a failed one."""
        self.watch()
        complete(self.catalog, make_manifest(at=self.scene.now))
        failed = make_id(self.scene.now + timedelta(minutes=2), "shop")
        self.catalog.backup_started(
            backup_id=failed, source="shop", kind=BackupKind.DAILY, reason="", now=self.scene.now
        )
        self.catalog.backup_failed(failed, SourceUnreachable("no answer", hint="Start it."), self.scene.now)

    def go_on(self) -> None:
        """Stand where `begin` left off."""
        self.scene.now = BEGIN + EVERY
        self.scene.codes = {"app": ("backup-stale",), "shop": ("last-run-failed",)}

    def live_through(self, fuse: int) -> None:
        """See the trouble until it escalated, and its end; the first watcher dies after so many steps."""
        self.fuse.left = fuse
        for _look in range(9):
            self.watch()
        self.scene.codes = dict.fromkeys(self.scene.codes, ())
        for _look in range(3):
            self.watch()

    def taken(self) -> dict[str, set[str]]:
        """What every channel took."""
        return {name: set(self.scene.receivers.keys(name)) for name in ("mail", "phone")}


def test_watcher_killed_anywhere_loses_nothing_and_repeats_at_most_what_it_was_sending(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    whole = Watchers(tmp_path / "0" / "catalog.db")
    template = tmp_path / "template.db"
    whole.begin()
    whole.catalog.close()
    shutil.copy(whole.path, template)
    whole = Watchers(whole.path)
    whole.go_on()
    whole.live_through(FOREVER)
    expected = whole.taken()
    assert len(expected["mail"]) >= 5
    assert len(expected["phone"]) == 2
    step = 0
    while True:
        step += 1
        path = tmp_path / f"{step}.db"
        shutil.copy(template, path)
        broken = Watchers(path)
        broken.go_on()
        broken.live_through(step)
        assert broken.taken() == expected, f"died at step {step}"
        assert sum(broken.scene.receivers.twice().values()) in (0, 2), f"died at step {step}"
        assert broken.catalog.deliveries() != ()
        assert {row.state for row in broken.catalog.deliveries()} == {"delivered"}
        assert all(incident.is_finished for incident in broken.catalog.incidents())
        broken.catalog.close()
        if not broken.deaths:
            break
    print(f"a watcher was killed at each of {step - 1} steps")
    assert step > 30

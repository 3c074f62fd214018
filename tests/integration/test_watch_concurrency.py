"""Eight watchers at once: every notice is recorded once and arrives once, on SQLite and on Postgres."""

import multiprocessing
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier

from shared.catalog.engine import Catalog, open_catalog
from shared.domain.backup import BackupKind
from shared.errors import SourceUnreachable
from tests.support.catalogs import complete, make_id, make_manifest
from tests.support.watch_scene import BEGIN, WatchScene

WATCHERS = 8
SOURCES = tuple(f"s{number:02}" for number in range(12))
# What every look sees; all watchers look at the same instants.
LOOKS = (
    dict.fromkeys(SOURCES, ()),
    {name: ("backup-stale",) if number % 2 else ("anomaly",) for number, name in enumerate(SOURCES)},
    {name: ("backup-stale",) if number % 3 else () for number, name in enumerate(SOURCES)},
    dict.fromkeys(SOURCES, ()),
)


def _watch(url: str, number: int, barrier: Barrier, report: Connection) -> None:
    try:
        with open_catalog(url, actor=f"watcher {number}") as catalog:
            scene = WatchScene(catalog, "mail", "chat", sources=SOURCES)
            scene.change(holder=f"watcher {number}")
            for codes in LOOKS:
                barrier.wait(120)
                scene.codes = dict(codes)
                scene.watch()
        report.send([(name, notice.key) for name, notice in scene.receivers.taken])
    except BaseException as error:
        report.send(f"{type(error).__name__}: {error}")
        raise


def test_eight_watchers_at_once_tell_everything_once(catalog: Catalog, catalog_url: str) -> None:
    _something_happened(catalog)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    barrier = context.Barrier(WATCHERS)
    pipes = [context.Pipe(duplex=False) for _ in range(WATCHERS)]
    processes = [
        context.Process(target=_watch, args=(catalog_url, number, barrier, sending))
        for number, (_, sending) in enumerate(pipes)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
    reports = [receiving.recv() if receiving.poll() else "no answer" for receiving, _ in pipes]
    assert all(isinstance(report, list) for report in reports), reports
    taken = [tuple(item) for report in reports for item in report]
    assert len(taken) == len(set(taken)), "something arrived twice"
    notices = {notice.key for notice in catalog.notices()}
    assert set(taken) == {(channel, key) for channel in ("mail", "chat") for key in notices}
    transitions = catalog.transitions()
    assert len(transitions) == len({(item.source, item.version) for item in transitions})
    changes = sum(LOOKS[at - 1][name] != LOOKS[at][name] for at in (1, 2, 3) for name in SOURCES)
    assert len(transitions) == changes + len(SOURCES) + 1
    assert all(incident.is_finished for incident in catalog.incidents())
    assert catalog.verify_audit_chain().is_intact


def _something_happened(catalog: Catalog) -> None:
    """The watch began long ago; a backup and a failure are told by whoever comes first."""
    catalog.begin_watch(BEGIN)
    complete(catalog, make_manifest(at=BEGIN - timedelta(hours=1), source="s00"))
    failed = make_id(BEGIN, "s01")
    catalog.backup_started(backup_id=failed, source="s01", kind=BackupKind.DAILY, reason="", now=BEGIN)
    catalog.backup_failed(failed, SourceUnreachable("no answer", hint="Start it."), BEGIN)

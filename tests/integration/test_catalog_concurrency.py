"""Many writers at once: none is turned away, nothing is lost, nothing is counted twice."""

import multiprocessing
import sqlite3
import threading
from dataclasses import replace
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from shared.catalog.engine import Catalog, open_catalog
from shared.catalog.records import RunState, SourceStatusRow
from shared.clock import monotonic_seconds
from shared.domain.backup import BackupKind
from shared.domain.proof import Outcome
from tests.support.catalogs import NOW, complete, make_id, make_manifest, make_object, make_table, prove

_PROCESSES = 8
_ROUNDS = 8


def _write_rounds(url: str, number: int, report: Connection) -> None:
    try:
        with open_catalog(url) as catalog:
            source = f"source{number % 3}"
            for turn in range(_ROUNDS):
                at = NOW + timedelta(hours=turn, minutes=number)
                suffix = f"{number:04x}"
                backup_id = make_id(at, source, suffix)
                run = catalog.begin_run("backup", source, exclusive=False, now=at)
                catalog.backup_started(
                    backup_id=backup_id, source=source, kind=BackupKind.DAILY, reason="", now=at, run=run
                )
                catalog.heartbeat(run, at)
                shared = make_object(f"{source} {turn}", source=source)
                if turn % 4 == 3:
                    catalog.backup_failed(backup_id, KeyboardInterrupt(), at)
                else:
                    complete(catalog, make_manifest(at=at, source=source, suffix=suffix, objects=(shared,)))
                    prove(catalog, backup_id, Outcome.PASSED, at, source=source)
                catalog.finish_run(run, RunState.DONE, at)
                catalog.source_statuses()
                catalog.backups(source, limit=5)
        report.send("")
    except BaseException as error:
        report.send(f"{type(error).__name__}: {error}")
        raise


def test_processes_that_write_at_once_all_succeed_and_sums_agree(catalog: Catalog, catalog_url: str) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # eight times the imports would be most of the time
    pipes = [context.Pipe(duplex=False) for _ in range(_PROCESSES)]
    processes = [
        context.Process(target=_write_rounds, args=(catalog_url, number, sending))
        for number, (_, sending) in enumerate(pipes)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
    assert [receiving.recv() if receiving.poll() else "no answer" for receiving, _ in pipes] == [""] * _PROCESSES
    rounds = _PROCESSES * _ROUNDS
    failed = rounds // 4
    assert len(catalog.backups()) == rounds
    check = catalog.verify_audit_chain()
    assert (check.is_intact, check.entry_count) == (True, failed + 2 * (rounds - failed))
    days = catalog.fleet_days(since=NOW.date())
    assert (sum(day.ok for day in days), sum(day.failed for day in days)) == (rounds - failed, failed)
    kept = (catalog.backup_days(since=NOW.date()), days, _without_update(catalog))
    catalog.recompute_rollups(NOW)
    assert kept == (
        catalog.backup_days(since=NOW.date()),
        catalog.fleet_days(since=NOW.date()),
        _without_update(catalog),
    )


def _without_update(catalog: Catalog) -> list[SourceStatusRow]:
    return [replace(row, updated_at=None) for row in catalog.source_statuses()]


def test_threads_that_share_one_catalog_all_succeed(catalog: Catalog) -> None:
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(5):
                catalog.append_audit(actor=f"thread {number}", action="x", object_name=str(turn), now=NOW)
                catalog.register_source(f"source{number}", "postgres", NOW)
                catalog.audit_entries(limit=3)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    check = catalog.verify_audit_chain()
    assert (check.is_intact, check.entry_count) == (True, 80)


def test_writer_waits_for_a_long_foreign_writer(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with open_catalog(f"sqlite:///{path}") as catalog:
        foreign = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        foreign.execute("BEGIN IMMEDIATE")
        release = threading.Timer(1.5, lambda: foreign.execute("COMMIT"))
        release.start()
        catalog.register_source("app", "postgres", NOW)
        release.join()
        foreign.close()
        assert [row.name for row in catalog.sources()] == ["app"]


def test_readers_are_not_held_up_by_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with open_catalog(f"sqlite:///{path}") as catalog:
        complete(catalog, make_manifest())
        foreign = sqlite3.connect(path, isolation_level=None)
        foreign.execute("BEGIN IMMEDIATE")
        foreign.execute("DELETE FROM backup_table")
        assert len(catalog.tables(make_id())) == 2
        foreign.execute("ROLLBACK")
        foreign.close()


def test_failed_transaction_leaves_nothing_behind(catalog: Catalog, catalog_url: str) -> None:
    complete(catalog, make_manifest())
    before = (catalog.backups(), catalog.fleet_days(since=NOW.date()), catalog.audit_entries())
    # The last small table is gone: it fails after row, tables, objects and the other small tables were written.
    broken = make_manifest(at=NOW + timedelta(days=1), tables=(make_table("a"),))
    engine = create_engine(catalog_url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE fleet_day"))
    with pytest.raises(Exception, match=r"fleet_day|a table is missing"):
        complete(catalog, broken)
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE TABLE fleet_day (day DATE PRIMARY KEY, ok INT, failed INT, bytes_ok BIGINT, new_bytes BIGINT,"
                " anomaly INT)"
            )
        )
    engine.dispose()
    assert (catalog.backups(), catalog.audit_entries()) == (before[0], before[2])
    assert catalog.objects(broken.backup_id) == ()


def test_large_backup_is_recorded_quickly(catalog: Catalog) -> None:
    tables = tuple(make_table(f"t{number}") for number in range(5000))
    objects = tuple(make_object(f"o{number}") for number in range(10_000))
    began = monotonic_seconds()
    complete(catalog, make_manifest(tables=tables, objects=objects))
    first = monotonic_seconds() - began
    began = monotonic_seconds()
    complete(catalog, make_manifest(at=NOW + timedelta(days=1), tables=tables, objects=objects, new_bytes=0))
    second = monotonic_seconds() - began
    print(f"5,000 tables and 10,000 objects: new {first:.2f} s, all shared {second:.2f} s")
    assert len(catalog.objects(make_id())) == 10_000
    assert len(catalog.tables(make_id())) == 5000
    assert catalog.unshared_objects(make_id()) == ()

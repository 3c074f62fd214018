"""A stand-in for `shared.wiring`'s workspace: flows are tested for when and how, not for what a backup is.

Behaviour is told by a JSON file, so that the same fake serves flows in this process and in a worker's:
`{"sources": {"app": {"seconds": 0.5, "error": "SourceUnreachable", "times": 1, "outcome": "failed"}}}`.
Every call is a line of `calls.jsonl` beside it.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from shared import errors
from shared.clock import monotonic_seconds, wait
from shared.domain.backup import BackupKind
from shared.domain.source import Source

FOLDER_VARIABLE = "FAKE_WORKSPACE"
OnProgress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class FakeResult:
    """What an operation returns: only its document counts."""

    values: Mapping[str, object]

    def document(self) -> Mapping[str, object]:
        return self.values


class FakeWorkspace:
    """Does nothing, slowly or badly where told so, and writes down that it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state_folder = folder / ".goldcopy"
        self.overall_concurrency = int(self.told().get("at_once", 2))
        self.sources = {
            name: Source(name=name, restore_test_after_backup=bool(told.get("test_after")))
            for name, told in self.told()["sources"].items()
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def told(self) -> dict[str, Any]:
        return json.loads((self.folder / "behaviour.json").read_text())

    def calls(self, name: str) -> list[dict[str, Any]]:
        path = self.folder / "calls.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [call for call in map(json.loads, lines) if call["name"] == name]

    def _note(self, name: str, **values: object) -> None:
        with (self.folder / "calls.jsonl").open("a") as file:
            file.write(json.dumps({"name": name, "pid": os.getpid(), "at": monotonic_seconds(), **values}) + "\n")

    def _work(self, name: str, subject: str, on_progress: OnProgress) -> dict[str, Any]:
        told = self.told()["sources"].get(subject, {})
        attempts = len([call for call in self.calls(name) if call.get("subject") == subject])
        if told.get("error") and attempts <= told.get("times", 1_000):
            kind = getattr(errors, told["error"])
            raise kind(f"{subject} could not be reached", hint="Start its server.")
        deadline = monotonic_seconds() + told.get("seconds", 0.0)
        while monotonic_seconds() < deadline:
            on_progress("dump", int(1000 * (deadline - monotonic_seconds())), 10_000)
            wait(0.05)
        return told

    def due_sources(self, kind: BackupKind, now: datetime) -> list[str]:
        self._note("due_sources", kind=kind)
        return sorted(self.sources)

    def back_up(
        self, source: str, kind: BackupKind, reason: str, *, on_progress: OnProgress, run_reference: str | None
    ) -> FakeResult:
        done = [
            call
            for call in self.calls("backup_done")
            if call["reference"] == run_reference and call["subject"] == source
        ]
        self._note("back_up", subject=source, kind=kind, reason=reason, reference=run_reference)
        backup_id = done[0]["backup_id"] if done else f"20261121T020000Z-{source}-7f3a"
        if not done:
            self._work("back_up", source, on_progress)
            self._note("backup_done", subject=source, reference=run_reference, backup_id=backup_id)
        return FakeResult(
            {
                "backup_id": backup_id,
                "source": source,
                "status": "complete",
                "recovery_point_at": "2026-11-21T02:00:01Z",
                "duration_seconds": 1.5,
                "stored_bytes": 12_345_678,
                "warnings": [],
            }
        )

    def run_restore_test(self, which: str, pick: str, *, on_progress: OnProgress) -> FakeResult:
        self._note("run_restore_test", subject=which, pick=pick)
        told = self._work("run_restore_test", which, on_progress)
        findings = [
            {"check": "table-content", "severity": "error", "object": "public.[x](http://e)|y", "message": "differs"}
        ]
        outcome = told.get("outcome", "passed")
        return FakeResult(
            {
                "outcome": outcome,
                "backup_id": which,
                "findings": findings if outcome == "failed" else [],
                "not_measured": [],
            }
        )

    def clean_up(self, source: str | None, *, dry_run: bool, on_progress: OnProgress) -> FakeResult:
        self._note("clean_up", subject=source, dry_run=dry_run)
        self._work("clean_up", source or "*", on_progress)
        return FakeResult({"kept": [1, 2], "expired": [3], "freed_bytes": 1000})

    def verify(self, backup_ids: Sequence[str] | None, *, on_progress: OnProgress) -> FakeResult:
        self._note("verify", backup_ids=backup_ids)
        return FakeResult({"outcome": "passed", "objects_checked": 3, "bytes_checked": 4096, "findings": []})

    def restore(
        self, backup_id: str, to: str, *, tables: Sequence[str], reason: str, on_progress: OnProgress
    ) -> FakeResult:
        self._note("restore", subject=backup_id, to=to, tables=list(tables), reason=reason)
        self._work("restore", backup_id, on_progress)
        return FakeResult({"outcome": "passed", "tables_restored": 7, "duration_seconds": 2.0, "findings": []})

    def watch(self, system_reasons: Sequence[object] | None = None) -> FakeResult:
        self._note("watch", reasons=len(system_reasons or ()))
        self._work("watch", "watch", lambda *_: None)
        return FakeResult(
            {"transitions": [], "notices": self.told().get("notices", []), "deliveries": [], "lost_runs": []}
        )

    def report(self, period: str, source: str | None = None) -> FakeResult:
        self._note("report", subject=source, period=period)
        told = self._work("report", source or "*", lambda *_: None)
        return FakeResult(
            {"finding": told.get("finding", "1 of 1 control met"), "folder": "/reports/r", "controls": []}
        )

    def reconcile(self, now: datetime) -> list[str]:
        self._note("reconcile")
        return []


def told(folder: Path, **sources: Mapping[str, object]) -> FakeWorkspace:
    """Make a fake workspace in a folder; each keyword is a source and how it behaves."""
    (folder / "behaviour.json").write_text(json.dumps({"sources": sources}))
    return FakeWorkspace(folder)


def install_as_wiring() -> None:
    """Hand out this workspace in this whole process; programs started by tests do this at start."""
    vars(import_module("shared.wiring"))["open_workspace"] = lambda *_: FakeWorkspace(Path(os.environ[FOLDER_VARIABLE]))

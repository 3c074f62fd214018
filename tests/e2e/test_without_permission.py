"""Somebody without the right to a folder is told which one and what to do, never that Goldcopy is at fault."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.site import MakeSite, Site

_RIGHTS_OF_ROOT = "-dac_override,-dac_read_search"


class OrdinarySite(Site):
    """A site whose commands lack root's right to every file."""

    def command(self, *arguments: str) -> list[str]:
        command = super().command(*arguments)
        if os.geteuid() != 0:
            return command
        return ["setpriv", "--bounding-set", _RIGHTS_OF_ROOT, "--inh-caps", _RIGHTS_OF_ROOT, *command]


pytestmark = pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root's rights can only be dropped with setpriv"
)


@pytest.fixture
def site(make_site: MakeSite) -> Iterator[OrdinarySite]:
    """A configured site whose folder of keys is closed."""
    folder = make_site().folder
    with (folder / "goldcopy.toml").open("a") as config:
        config.write('\n[sources.app]\nurl = "postgresql://nobody@127.0.0.1:1/app"\n')
    (folder / ".goldcopy").chmod(0)
    yield OrdinarySite(folder)
    (folder / ".goldcopy").chmod(0o700)


def test_check_names_the_closed_key_and_goes_on(site: OrdinarySite) -> None:
    ended = site.goldcopy("check", "app", "--json")
    assert ended.exit_code == 2, ended.stderr
    repository = next(item for item in ended.document["findings"] if item["check"] == "repository")
    assert f"{site.folder / '.goldcopy'}" in repository["message"]
    assert "permission denied" in repository["message"].lower()
    assert "user" in repository["hint"]
    assert "source" in {item["check"] for item in ended.document["not_measured"]}


def test_closed_folder_of_tools_is_left_out(site: OrdinarySite) -> None:
    site.environment["GOLDCOPY_TOOLS"] = ""
    site.environment["PATH"] = f"{site.folder / '.goldcopy'}{os.pathsep}{os.environ['PATH']}"
    ended = site.goldcopy("check", "app", "--json")
    assert ended.exit_code == 2, ended.stderr
    assert ended.document["findings"]


def test_backup_names_the_closed_key(site: OrdinarySite) -> None:
    ended = site.goldcopy("backup", "app", "--json")
    assert ended.exit_code == 2, ended.stderr
    assert f"{site.folder / '.goldcopy'}" in ended.stderr
    assert "permission denied" in ended.stderr.lower()


@pytest.mark.parametrize("mode", [0o500, 0])
def test_init_names_the_folder_it_may_not_write(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "of-somebody-else"
    folder.mkdir(mode)
    ended = OrdinarySite(folder).goldcopy("init", "--json")
    folder.chmod(0o700)
    assert ended.exit_code == 2, ended.stderr
    error = ended.document["error"]
    assert f"{folder}" in error["message"]
    assert "permission denied" in error["message"].lower()
    assert "folder" in error["hint"]

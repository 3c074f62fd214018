"""What a new user meets at the command line: lists, holds, mistakes of the configuration, the place of --json."""

import json

import pytest

from shared.postgres.connection import DatabaseAddress
from tests.support.postgres_servers import run_sql
from tests.support.site import MakeSite


def test_a_list_is_as_long_as_asked_for_and_says_when_there_is_more(
    make_site: MakeSite, database: DatabaseAddress
) -> None:
    run_sql(database, "CREATE TABLE t AS SELECT 1 AS n")
    site = make_site(app=database)
    ids = [site.goldcopy("backup", "app", "--json").document["backup_id"] for _ in range(3)]

    assert [row["backup_id"] for row in site.goldcopy("backups", "--json").document["backups"]] == ids[::-1]
    assert [row["backup_id"] for row in site.goldcopy("--json", "backups", "--limit", "2").document["backups"]] == (
        ids[:0:-1]
    )
    two = site.goldcopy("backups", "app", "--limit", "2").stdout
    assert ids[0] not in two
    assert "older ones are not shown: goldcopy backups --limit 20" in two
    assert "not shown" not in site.goldcopy("backups", "--limit", "3").stdout
    assert site.goldcopy("backups", "--limit", "0").exit_code == 2

    shown = site.goldcopy("show", ids[0]).stdout
    recipient = json.loads(next(site.repository_folder.rglob("manifest.json")).read_text())["recipients"][0]
    assert f"sealed to {recipient}" in shown
    assert " in 1 table, 1 row\n" in shown
    assert site.goldcopy("show", ids[0], "--json").document["recipients"] == [recipient]

    assert site.goldcopy("hold", ids[0], "--reason", "legal case 7").stdout == f"{ids[0]} is held: legal case 7\n"
    again = site.goldcopy("hold", ids[0], "--reason", "audit")
    assert again.exit_code == 0
    assert "is held already, by " in again.stdout
    assert again.stdout.splitlines()[0].endswith(": legal case 7")
    assert "yours is not recorded: audit" in again.stdout
    assert site.goldcopy("hold", ids[0], "--reason", "audit", "--json").document["reason"] == "legal case 7"
    assert site.goldcopy("release", ids[0]).exit_code == 0
    assert "was held by " in site.goldcopy("show", ids[0]).stdout

    (site.repository_folder / "sources/app/backups" / ids[0] / "manifest.json").unlink()
    assert "sealed to: not known" in site.goldcopy("show", ids[0]).stdout


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ('[sources.app]\nurl = "env:NOT_SET_HERE"\n', ("app",)),
        ('[sources.app]\nurl = "postgresql://app:x@h:port/shop"\n', ("app",)),
        ('[sources.app]\nurl = "env:A"\nunknown = 1\n', ("app",)),
        ("", ("nosuch",)),
    ],
    ids=["reference", "url", "key", "name"],
)
def test_check_ends_as_other_commands_do_on_the_same_mistake(
    make_site: MakeSite, settings: str, arguments: tuple[str, ...]
) -> None:
    site = make_site()
    with site.config_path.open("a") as config:
        config.write(f"\n{settings}")

    assert site.goldcopy("check", *arguments, "--json").exit_code == 2
    assert site.goldcopy("backup", *arguments, "--json").exit_code == 2


def test_check_warns_of_a_password_in_the_configuration(make_site: MakeSite, database: DatabaseAddress) -> None:
    site = make_site()
    parameters = database.parameters
    password = parameters["password"].replace(" ", "%20")
    url = f"postgresql://{parameters['user']}:{password}@{parameters['host']}:{parameters['port']}/{database.database}"
    with site.config_path.open("a") as config:
        config.write(f'\n[sources.app]\nurl = "{url}"\n')

    checked = site.goldcopy("check", "--json")

    assert checked.exit_code == 0
    found = [item for item in checked.document["findings"] if item["check"] == "plain-secret"]
    assert [(item["object"], item["severity"]) for item in found] == [("sources.app.url", "warning")]
    assert 'url = "env:NAME"' in found[0]["hint"]
    assert password not in checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [(("--json", "backups"), 0), (("--json", "tools", "list"), 0), (("--json", "up"), 2), (("--json", "nosuch"), 2)],
)
def test_json_before_the_verb_means_the_same_as_behind_it(
    make_site: MakeSite, arguments: tuple[str, ...], exit_code: int
) -> None:
    ended = make_site().goldcopy(*arguments)

    assert ended.exit_code == exit_code
    assert ("error" in ended.document) == bool(exit_code)

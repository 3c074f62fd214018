"""What the documentation says can be done: its commands parse, its links lead somewhere, its lists are complete."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from shared.cli.main import cli
from tests.support.errors_page import PAGE, errors_page

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "shared").rglob("*.md")])
# What a reader replaces with a value of their own, where the command wants a number.
PLACEHOLDERS = {"MAJOR": "17", "PORT": "8501", "N": "1"}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def shown_lines(text: str) -> Iterator[str]:
    """Yield what stands in code: inline, and line by line in fenced blocks, continued lines joined."""
    fenced = re.compile(r"^```.*?\n(.*?)^```", re.MULTILINE | re.DOTALL)
    for block in fenced.findall(text):
        yield from (line.strip().removeprefix("$ ") for line in block.replace("\\\n", " ").splitlines())
    yield from re.findall(r"`([^`\n]+)`", fenced.sub("", text))


def documented_commands(program: str) -> list[tuple[str, str]]:
    pattern = re.compile(rf"(?:^|&& |; )(?:[A-Z_]+=\S+ )*(?:\S*/)?{program} ([^;&]+)")
    found = {
        (relative(page), f"{program} {command.strip()}")
        for page in PAGES
        for line in shown_lines(page.read_text(encoding="utf-8"))
        for command in pattern.findall(line.split(" #")[0])
    }
    return sorted(found)


def words_of(command: str) -> list[str]:
    """Split as a shell would; optional parts count as given, of alternatives the first is taken."""
    words = shlex.split(command.replace("[", " ").replace("]", " ").replace(" ...", " something"))
    return [PLACEHOLDERS.get(word, word.split("|")[0] or word) for word in words]


def parse(words: list[str]) -> None:
    """Let the command line parse the words, without running anything."""
    command: click.Command = cli
    context = cli.make_context(words[0], words[1:])
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        assert name is not None
        if not rest:
            return  # a command's name alone, in the middle of a sentence
        command, context = found, found.make_context(name, rest, parent=context)


def every_command(group: click.Group, prefix: str = "goldcopy") -> Iterator[str]:
    context = click.Context(group, info_name=prefix)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, f"{prefix} {name} does not load"
        if isinstance(command, click.Group):
            yield from every_command(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}"


@pytest.mark.parametrize(("page", "command"), documented_commands("goldcopy"), ids=lambda value: value)
def test_documented_command_parses(page: str, command: str) -> None:
    try:
        parse(words_of(command))
    except click.exceptions.Exit:  # --help and --version end the parsing
        return
    except click.UsageError as error:
        pytest.fail(f"{page}: {command}: {error.format_message()}")


def test_every_command_is_documented() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [command for command in every_command(cli) if f"{command}" not in text] == []


def test_documented_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    mentioned = {command.split()[1] for _, command in documented_commands("make")}
    assert {"demo", "test"} <= mentioned
    assert mentioned <= targets


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_to_files_that_exist(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_prefect_yaml_names_flows_that_exist() -> None:
    text = (ROOT / "prefect.yaml").read_text(encoding="utf-8")
    entrypoints = re.findall(r"entrypoint: (\w+)[./](\w+)(?:\.py)?[.:](\w+)", text)
    assert len(entrypoints) == text.count("entrypoint:") > 0
    for folder, module, function in entrypoints:
        code = (ROOT / folder / f"{module}.py").read_text(encoding="utf-8")
        assert re.search(rf"^(?:async )?def {function}\(", code, re.MULTILINE), f"{folder}.{module}.{function}"


def test_error_list_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == errors_page(), "run `make docs`"


def test_readme_is_short_and_begins_with_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    blocks = re.findall(r"^```.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    shown = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    assert [line for line in shown if line.startswith("make ")][:2] == ["make demo", "make test"]

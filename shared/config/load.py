"""Find, read and check `goldcopy.toml`; report every problem at once."""

import os
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from shared.config.model import ConfigFile
from shared.config.names import find_unknown_names
from shared.config.problems import describe_problems
from shared.config.references import ReferenceReader
from shared.domain.backup import SOURCE_NAME
from shared.domain.source import Source
from shared.domain.transition import SYSTEM_WORD
from shared.errors import ConfigInvalid
from shared.units import counted

CONFIG_NAME = "goldcopy.toml"
CONFIG_VARIABLE = "GOLDCOPY_CONFIG"
TRACEBACK_VARIABLE = "GOLDCOPY_TRACEBACK"
_ALL_KEYS = "Correct these lines of the file; docs/configuration.md describes every key."


@dataclass(frozen=True, slots=True)
class Config:
    """A checked configuration.

    Attributes:
        path: The file.
        file: What stands in it.
        sources: Its sources by name.
        references: Reads what it refers to.
    """

    path: Path
    file: ConfigFile
    sources: Mapping[str, Source]
    references: ReferenceReader

    @property
    def state_folder(self) -> Path:
        """Where Goldcopy keeps what is its own: `.goldcopy` beside the file."""
        return self.path.parent / ".goldcopy"

    @property
    def tools_folder(self) -> Path:
        """Where fetched client tools and servers lie."""
        given = self.references.environment.get("GOLDCOPY_TOOLS")
        return Path(given) if given else self.references.path(self.file.tools.folder)

    @property
    def scratch_folder(self) -> Path:
        """Where dumps wait and restore tests run."""
        return self.references.path(self.file.scratch.folder)

    @property
    def catalog_url(self) -> str:
        """The metadata store's URL; a relative SQLite path counts from the file's folder. May hold a password."""
        return self._database_url(self.file.catalog.url, key="catalog.url")

    @property
    def app_catalog_url(self) -> str:
        """The same for the app's own login, which may only read; the catalog's URL where none is named."""
        given = self.file.app.catalog_url
        return self._database_url(given, key="app.catalog_url") if given else self.catalog_url

    def _database_url(self, value: str, *, key: str) -> str:
        url = self.references.text(value, key=key)
        prefix = "sqlite:///"
        if url.startswith(prefix) and not url.startswith("sqlite:////"):
            return f"{prefix}{self.references.path(url.removeprefix(prefix))}"
        return url

    @property
    def reports_folder(self) -> Path:
        """Where compliance reports go."""
        return self.references.path(self.file.reports.folder)

    def source_url(self, name: str) -> str:
        """The source's URL, which may hold a password.

        Raises:
            ConfigInvalid: No such source, or what it refers to is missing.
        """
        self.source(name)
        return self.references.text(self.file.sources[name].url, key=f"sources.{name}.url")

    def source(self, name: str) -> Source:
        """Return one source by name.

        Raises:
            ConfigInvalid: There is none.
        """
        if name not in self.sources:
            known = ", ".join(sorted(self.sources)) or "none yet"
            raise ConfigInvalid(
                f"there is no source {name!r} in {self.path}",
                hint=f"Known sources: {known}; add [sources.{name}] or correct the name.",
            )
        return self.sources[name]

    def checks_path(self, name: str) -> Path | None:
        """The file with the source's own checks, if it has one."""
        given = self.file.sources[name].checks if name in self.file.sources else None
        return self.references.path(given) if given else None


def wants_traceback() -> bool:
    """Whether an error that nobody expected shall be shown with its stack trace."""
    return bool(os.environ.get(TRACEBACK_VARIABLE))


def find_config(given: str | None, environment: Mapping[str, str] | None = None) -> Path:
    """Return the configuration file that counts: the argument, else the environment, else the working folder."""
    environment = os.environ if environment is None else environment
    return Path(given or environment.get(CONFIG_VARIABLE) or CONFIG_NAME).expanduser().resolve()


def load_config(given: str | None = None, environment: Mapping[str, str] | None = None) -> Config:
    """Read and check the configuration.

    Args:
        given: Path from `--config`, or None.
        environment: Defaults to the process's own.

    Raises:
        ConfigInvalid: The file is missing or wrong; the message lists every problem with its key.
    """
    environment = os.environ if environment is None else environment
    path = find_config(given, environment)
    document = _read(path)
    named = document.get("sources")
    problems = [
        f"sources.{name}: a name is made of a-z 0-9 . _ - and begins with a letter or digit, at most 63 long"
        for name in (named if isinstance(named, dict) else ())
        if not SOURCE_NAME.fullmatch(name)
    ]
    if isinstance(named, dict) and SYSTEM_WORD in named:
        problems.append(
            f"sources.{SYSTEM_WORD}: `goldcopy ack {SYSTEM_WORD}` means Goldcopy itself; give the source another name"
        )
    try:
        file = ConfigFile.model_validate(document)
    except ValidationError as error:
        problems += describe_problems(ConfigFile, error.errors())
        file = None
    problems += find_unknown_names(document)
    if problems or file is None:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise ConfigInvalid(f"{path} has {counted(len(problems), 'problem')}:\n{listed}", hint=_ALL_KEYS)
    rules = file.health.rules()
    sources = {
        name: section.source(name, file.scratch.limit, rules, file.anomalies) for name, section in file.sources.items()
    }
    return Config(path, file, sources, ReferenceReader(path.parent, environment))


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise ConfigInvalid(
            f"there is no configuration at {path}", hint="Run `goldcopy init` here, or name the file with --config."
        ) from error
    except OSError as error:
        raise ConfigInvalid(f"{path} cannot be read ({error.strerror})", hint="Mend its permissions.") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigInvalid(f"{path} cannot be read: line {line} is not UTF-8", hint="Save it as UTF-8.") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = "" if " line " in str(error) else f"; what begins in line {_unfinished_line(text)} has no end"
        raise ConfigInvalid(f"{path} is not valid TOML: {error}{where}", hint="Mend that line.") from error


def _unfinished_line(text: str) -> int:
    """Return the line from which on the file cannot be parsed any more."""
    lines = text.splitlines(keepends=True)
    for count in reversed(range(len(lines))):
        with suppress(tomllib.TOMLDecodeError):
            tomllib.loads("".join(lines[:count]))
            blank = takewhile(lambda line: not line.strip() or line.lstrip().startswith("#"), lines[count:])
            return count + len(list(blank)) + 1
    return 1


def tools_folder_without_config(default: Path, environment: Mapping[str, str] | None = None) -> Path:
    """Where fetched tools lie when there is no configuration: `$GOLDCOPY_TOOLS`, else `default`."""
    environment = os.environ if environment is None else environment
    return Path(environment.get("GOLDCOPY_TOOLS") or default).resolve()

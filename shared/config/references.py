"""Values that live outside the file: `env:NAME`, `file:PATH`, `prefect:BLOCK`.

Other packages add schemes through the entry point group `goldcopy.references`; that is how Prefect blocks are read
without this package knowing Prefect.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from shared.errors import ConfigInvalid

ENTRY_POINT_GROUP = "goldcopy.references"


@dataclass(frozen=True, slots=True)
class ReferenceReader:
    """Resolves references of one configuration file.

    Attributes:
        folder: What relative paths count from.
        environment: The process's environment.
    """

    folder: Path
    environment: Mapping[str, str]

    def text(self, value: str, *, key: str) -> str:
        """Return the value itself or what it refers to, without a final newline.

        Args:
            value: As written in the file.
            key: Where it stands, for messages.

        Raises:
            ConfigInvalid: What it refers to does not exist or is empty.
        """
        scheme, _, rest = value.partition(":")
        if scheme == "env" and rest:
            return self._from_environment(rest, key)
        if scheme == "file" and rest and not rest.startswith("//"):
            return self._from_file(self.path(rest), key)
        if scheme == "prefect" and rest:
            found = self.block(value, key=key)
            if isinstance(found, str):
                return found
            raise ConfigInvalid(f"{key}: {value} is not a block that holds one text", hint="Use a Secret block here.")
        return value

    def path(self, text: str) -> Path:
        """Return a path of the file, counted from its folder."""
        return (self.folder / Path(text).expanduser()).resolve()

    def block(self, value: str, *, key: str) -> str | dict[str, str]:
        """Read a `prefect:` reference through the package that knows how."""
        found = entry_points(group=ENTRY_POINT_GROUP, name="prefect")
        for entry_point in found:
            resolve: Callable[[str], str | dict[str, str]] = entry_point.load()
            return resolve(value)
        raise ConfigInvalid(f"{key}: {value} needs the flows package", hint="Install Goldcopy whole: `make`.")

    def _from_environment(self, name: str, key: str) -> str:
        found = self.environment.get(name, "")
        if not found:
            raise ConfigInvalid(
                f"{key}: the environment variable {name} is not set",
                hint=f"Set {name} where Goldcopy runs (export it, or put it into the service's environment).",
            )
        return found

    def _from_file(self, path: Path, key: str) -> str:
        try:
            found = path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ConfigInvalid(
                f"{key}: the file {path} cannot be read ({reason})",
                hint="Put the value there, readable by the user who runs Goldcopy and nobody else.",
            ) from error
        if not found:
            raise ConfigInvalid(f"{key}: the file {path} is empty", hint="Put the value there.")
        return found


def is_reference(value: str) -> bool:
    """Say whether a value lives outside the file."""
    scheme, _, rest = value.partition(":")
    return scheme in ("env", "file", "prefect") and bool(rest) and not rest.startswith("//")

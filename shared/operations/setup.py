"""Write a first configuration, an age identity and the repository's fingerprint key."""

import os
from dataclasses import dataclass
from pathlib import Path

from shared.errors import UsageProblem
from shared.repository.sealing import make_identity

CONFIG_TEMPLATE = """\
# Goldcopy's configuration: reviewed policy; secrets stay outside (env:NAME, file:PATH, prefect:BLOCK).
# Every key is described in docs/configuration.md.

[catalog]
url = "sqlite:///.goldcopy/catalog.db"

[repository]
url = "file://.goldcopy/repository"        # or "s3://bucket/prefix" with endpoint_url, region, credentials
recipients = ["{recipient}"]
identity = "file:.goldcopy/identity.txt"   # needed for restores and restore tests only

# [sources.app]
# url = "env:APP_DATABASE_URL"
# kind = "postgres"                        # or "supabase"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupResult:
    """What `init` wrote."""

    config_path: Path
    identity_path: Path
    recipient: str

    def document(self) -> dict[str, str]:
        """Return the result in JSON's own types; the private key is not in it."""
        return {
            "config": str(self.config_path),
            "identity": str(self.identity_path),
            "recipient": self.recipient,
        }


def write_configuration(config_path: Path) -> SetupResult:
    """Write a configuration beside a new age identity.

    Raises:
        UsageProblem: There is a configuration or an identity already; neither is ever overwritten. Or this user may
            not write there.
    """
    try:
        return _write_configuration(config_path)
    except PermissionError as error:
        raise UsageProblem(
            f"{error.filename} cannot be written: permission denied",
            hint=f"Make the folder {config_path.parent} writable for this user, or run it in a folder of your own.",
        ) from error


def _write_configuration(config_path: Path) -> SetupResult:
    state_folder = config_path.parent / ".goldcopy"
    identity_path = state_folder / "identity.txt"
    for path in (config_path, identity_path):
        if path.exists():
            raise UsageProblem(
                f"{path} exists already",
                hint="Goldcopy never overwrites a configuration or an identity; choose another folder or move it away.",
            )
    state_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    identity, recipient = make_identity()
    text = f"# Goldcopy identity: whoever has it can read the backups.\n# public key: {recipient}\n{identity}\n"
    _write_new(identity_path, text, 0o600)
    _write_new(config_path, CONFIG_TEMPLATE.format(recipient=recipient), 0o644)
    return SetupResult(config_path=config_path, identity_path=identity_path, recipient=recipient)


def _write_new(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())

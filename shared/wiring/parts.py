"""Open what a configuration names: store, repository, catalog, client tools, addresses of databases."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from pathlib import Path

from shared.catalog.engine import Catalog, open_catalog
from shared.config.load import Config, find_config, load_config, tools_folder_without_config
from shared.domain.backup import BackupStatus
from shared.domain.source import SourceKind
from shared.errors import ConfigInvalid, StoreRefused
from shared.operations.progress import OnProgress
from shared.postgres.connection import DatabaseAddress
from shared.postgres.tools import Toolset, add_toolset, find_toolsets
from shared.repository.keys import find_fingerprint_key, write_fingerprint_key
from shared.repository.local import LocalStore
from shared.repository.repository import Repository
from shared.repository.sealing import Identity, load_identities
from shared.repository.store import ObjectStore
from shared.supabase.rules import connection_defaults, is_supabase_host

_DEFAULT_TOOLS = Path(".goldcopy/tools")


class Parts:
    """The concrete parts of one configuration, each opened when it is first used."""

    def __init__(self, config: Config, run_url: str = "") -> None:
        self.config = config
        self._run_url = run_url

    @cached_property
    def toolsets(self) -> Sequence[Toolset]:
        """Client tools and servers found on this machine."""
        return find_toolsets(self.config.tools_folder)

    @cached_property
    def catalog(self) -> Catalog:
        """The metadata store."""
        return open_catalog(self.config.catalog_url, run_url=self._run_url)

    @cached_property
    def store(self) -> ObjectStore:
        """Where the repository's objects lie."""
        url = self.config.references.text(self.config.file.repository.url, key="repository.url")
        scheme, separator, rest = url.partition("://")
        if separator and scheme == "file":
            return LocalStore(self.config.references.path(rest))
        if separator and scheme == "s3" and rest:
            return self._s3_store(*rest.split("/", 1))
        raise ConfigInvalid(
            "repository.url is neither file://FOLDER nor s3://BUCKET/PREFIX", hint="Correct it in goldcopy.toml."
        )

    def identities(self) -> tuple[Identity, ...]:
        """Read the private keys.

        Raises:
            ConfigInvalid: None is configured here, or it cannot be read.
        """
        reference = self.config.file.repository.identity
        if not reference:
            raise ConfigInvalid(
                "no identity is configured here, and without it no backup can be read",
                hint="Set repository.identity on machines that restore or test restores.",
            )
        return load_identities(self.config.references.text(reference, key="repository.identity"))

    def has_identity(self) -> bool:
        """Whether the private keys are here and can be read."""
        with suppress(ConfigInvalid):
            return bool(self.identities())
        return False

    def repository_for_writing(self, now: datetime) -> Repository:
        """Open the repository; make it where nothing is yet; keep this machine's copy of the fingerprint key.

        Raises:
            ConfigInvalid: The key is not here and cannot be had.
        """
        recipients = self.config.file.repository.recipients
        try:
            repository = self.repository()
        except StoreRefused:
            if self.store.stat("goldcopy.json") is not None or self.fingerprint_key() is not None:
                raise  # a key without its repository: the disk is not mounted, or the address is another one
            self._refuse_if_catalog_knows_backups()
            repository = Repository.create(self.store, recipients, now)
            self._keep_fingerprint_key(repository)
        repository.change_recipients(recipients)
        return repository

    def _refuse_if_catalog_knows_backups(self) -> None:
        if self.catalog.backups(statuses=[BackupStatus.COMPLETE], limit=1):
            raise StoreRefused(
                f"there is no repository at {self.store.url}, and the catalog knows backups in one",
                hint="Check the address and that the disk is mounted; a new repository needs a catalog of its own.",
            )

    def repository(self) -> Repository:
        """Open an existing repository, with the fingerprint key of this machine or, failing that, by the identity.

        Raises:
            StoreRefused: There is no repository.
            ConfigInvalid: Neither the key nor an identity is here.
        """
        key = self.fingerprint_key()
        if key is not None:
            return Repository.open(self.store, fingerprint_key=key)
        identities = self.identities() if self.has_identity() else ()
        repository = Repository.open(self.store, identities=identities)
        if identities:
            self._keep_fingerprint_key(repository)
        return repository

    def fingerprint_key(self) -> bytes | None:
        """Read this machine's copy of the fingerprint key; None where it has none.

        Raises:
            ConfigInvalid: It is there and cannot be read.
        """
        reference = self.config.file.repository.fingerprint_key
        if not reference.startswith("file:"):
            text = self.config.references.text(reference, key="repository.fingerprint_key")
            try:
                return bytes.fromhex(text)
            except ValueError:
                raise ConfigInvalid(
                    "repository.fingerprint_key does not refer to a key in hex", hint="Give 64 hex digits."
                ) from None
        path = self.config.references.path(reference.removeprefix("file:"))
        return find_fingerprint_key(path)

    def check_identity(self) -> None:
        """Make sure that the identity here opens the repository, and that the fingerprint key here is the repository's.

        Raises:
            GoldcopyError: It does not.
        """
        opened = Repository.open(self.store, identities=self.identities())
        if opened.fingerprint_key != self.repository().fingerprint_key:
            raise ConfigInvalid(
                "the fingerprint key here is not the one that the identity finds in the repository",
                hint="Move the key file away; the next command takes the right key out of the repository.",
            )

    def address(self, source: str) -> DatabaseAddress:
        """How to reach a source."""
        kind = self.config.source(source).kind
        return self.address_of(self.config.source_url(source), kind, key=f"sources.{source}.url")

    def known_address(self, source: str) -> DatabaseAddress | None:
        """How to reach a source, or None where this machine does not know (it only restores, or the source is gone)."""
        with suppress(ConfigInvalid):
            return self.address(source)
        return None

    def address_of(self, url: str, kind: SourceKind = SourceKind.POSTGRES, *, key: str) -> DatabaseAddress:
        """Read a URL, which stands at `key`, and add the rules of the place behind it."""
        try:
            address = DatabaseAddress.from_url(url)
        except ConfigInvalid as error:
            raise ConfigInvalid(f"{key}: {error.message}", hint=error.hint) from None
        if kind is SourceKind.SUPABASE or is_supabase_host(address.parameters.get("host", "")):
            return address.with_defaults(**connection_defaults(address.parameters.get("host", "")))
        return address

    def scratch_address(self) -> DatabaseAddress | None:
        """The configured server for restore tests, or None for a throwaway one."""
        reference = self.config.file.scratch.url
        if not reference:
            return None
        return self.address_of(self.config.references.text(reference, key="scratch.url"), key="scratch.url")

    def close(self) -> None:
        """Close what was opened."""
        if "catalog" in self.__dict__:
            self.catalog.close()

    def _keep_fingerprint_key(self, repository: Repository) -> None:
        reference = self.config.file.repository.fingerprint_key
        if reference.startswith("file:"):
            path = self.config.references.path(reference.removeprefix("file:"))
            write_fingerprint_key(path, repository.fingerprint_key)

    def _s3_store(self, bucket: str, prefix: str = "") -> ObjectStore:
        from shared.repository.s3 import S3Settings, S3Store, build_client

        section, references = self.config.file.repository, self.config.references
        block: dict[str, str] = {}
        if section.credentials:
            found = references.block(section.credentials, key="repository.credentials")
            if isinstance(found, str):
                raise ConfigInvalid(
                    f"repository.credentials: {section.credentials} holds no S3 credentials",
                    hint="Use prefect:aws-credentials/NAME, prefect:minio-credentials/NAME or prefect:s3-bucket/NAME.",
                )
            block = found

        def secret(value: str | None, key: str) -> str:
            return references.text(value, key=f"repository.{key}") if value else block.get(key, "")

        style = {None: "auto", True: "path", False: "virtual"}[section.path_style]
        settings = S3Settings(
            bucket=bucket,
            prefix="/".join(part for part in (block.get("prefix", ""), prefix.strip("/")) if part),
            endpoint_url=secret(section.endpoint_url, "endpoint_url"),
            region=secret(section.region, "region"),
            access_key=secret(section.access_key_id, "access_key_id"),
            secret_key=secret(section.secret_access_key, "secret_access_key"),
            session_token=block.get("session_token", ""),
            addressing_style=style,
        )
        return S3Store(build_client(settings), settings.bucket, settings.prefix)


def list_tools(config_path: str | None) -> Sequence[Toolset]:
    """Find client tools and servers; works without a configuration."""
    return find_toolsets(tools_folder(config_path))


def add_tools(config_path: str | None, major: int, *, on_progress: OnProgress) -> Toolset:
    """Fetch client tools and server of a major; works without a configuration."""
    return add_toolset(major, tools_folder(config_path), on_progress=lambda line: on_progress(line, 0, None))


def tools_folder(config_path: str | None) -> Path:
    """Where fetched tools lie, with or without a configuration."""
    if config_path or find_config(None).exists():
        return load_config(config_path).tools_folder
    return tools_folder_without_config(_DEFAULT_TOOLS)

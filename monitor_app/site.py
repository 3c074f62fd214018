"""What this process shows: one configuration, and the catalog behind it, opened for reading only."""

from pathlib import Path
from threading import Lock

from shared.catalog.connection import Database, open_database
from shared.catalog.engine import Catalog
from shared.catalog.migrate import require_current
from shared.config.load import Config, load_config


class Site:
    """One configuration's catalog as the app sees it; the connection can read and nothing else."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._lock = Lock()
        self._database: Database | None = None
        self._file: tuple[int, int] | None = None

    def database(self) -> Database:
        """Return the catalog's database, opened for reading only.

        Raises:
            CatalogProblem: It cannot be reached, or is not of this version.
        """
        url = self.config.app_catalog_url
        with self._lock:
            file = _file_of(url)
            # A catalog file that was replaced or removed lives on behind an open connection: never show that one.
            if self._database is None or file != self._file:
                self._close()
                database = open_database(url, read_only=True)
                try:
                    require_current(database)
                except BaseException:
                    database.close()
                    raise
                self._database, self._file = database, file
            return self._database

    def catalog(self) -> Catalog:
        """Return the same as a `Catalog`; its writing methods fail.

        Raises:
            CatalogProblem: It cannot be reached, or is not of this version.
        """
        return Catalog(self.database(), actor="app")

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
        self._database = None


def _file_of(url: str) -> tuple[int, int] | None:
    """Return what tells a SQLite file from another one of the same name."""
    if not url.startswith("sqlite:///"):
        return None
    try:
        found = Path(url.removeprefix("sqlite:///")).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class _Current:
    """Holds the one site of this process; pages run in threads, all of which show the same."""

    site: Site | None = None
    lock = Lock()


def use(config: Config) -> Site:
    """Show this configuration from now on."""
    with _Current.lock:
        if _Current.site is not None:
            _Current.site.close()
        _Current.site = Site(config)
        return _Current.site


def current() -> Site:
    """Return what this process shows; the configuration that the environment names unless `use` was called.

    Raises:
        ConfigInvalid: There is none.
    """
    with _Current.lock:
        if _Current.site is None:
            _Current.site = Site(load_config())
        return _Current.site

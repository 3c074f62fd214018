"""How every configured source stands, for the command line, the watch and metrics."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta

from shared.catalog.engine import Catalog, open_catalog
from shared.config.load import Config, load_config
from shared.domain.source_facts import Reachability
from shared.errors import CatalogProblem
from shared.operations.exposure_history import ExposureHistory, read_exposure_history
from shared.operations.lost_catalog import find_unknown_backups
from shared.operations.reach import probe_repository
from shared.operations.status import StatusReport, read_status, unknown_status


class StatusDesk:
    """Judges the sources of one configuration, as often as it is asked."""

    def __init__(self, config: Config, read_catalog: Callable[[], Catalog]) -> None:
        """Take a configuration, and what opens its catalog."""
        self._config, self._read_catalog = config, read_catalog

    def read(self, now: datetime, *, source: str | None = None, repository: Reachability | None = None) -> StatusReport:
        """Judge all sources, or one; a catalog that cannot be read makes them unknown.

        Args:
            now: Aware instant to judge for.
            source: Only this one.
            repository: What the repository answered just now, where it was asked.

        Raises:
            ConfigInvalid: There is no such source.
        """
        sources = self._config.sources
        only = None if source is None else [self._config.source(source).name]
        try:
            catalog = self._read_catalog()
            unknown = self._find_unknown_backups(catalog) if repository and repository.is_reachable else None
            return read_status(catalog, sources, now, only=only, repository=repository, unknown_backups=unknown)
        except CatalogProblem as error:
            return unknown_status(sources, now, error, only=only)

    def read_history(self, now: datetime, source: str, days: int) -> ExposureHistory | None:
        """Recompute how a source's promises were kept in the last days; None where there is nothing to tell."""
        try:
            return read_exposure_history(
                self._read_catalog(), self._config.source(source), now - timedelta(days=days), now
            )
        except CatalogProblem:
            return None  # the status says already that nothing can be read

    def probe(self, now: datetime) -> Reachability:
        """Ask the repository whether it can be reached."""
        from shared.wiring.parts import Parts

        timeout = self._config.file.health.repository_timeout
        parts = Parts(self._config)
        return probe_repository(lambda: parts.store, timeout, now, read_key=parts.fingerprint_key)

    def _find_unknown_backups(self, catalog: Catalog) -> Mapping[str, str]:
        from shared.wiring.parts import Parts

        timeout = self._config.file.health.repository_timeout
        return find_unknown_backups(catalog, self._config.sources, lambda: Parts(self._config).store, timeout)


@contextmanager
def open_status(config_path: str | None = None) -> Iterator[StatusDesk]:
    """Open what a configuration names, to look at it.

    Raises:
        ConfigInvalid: The configuration cannot be used.
    """
    config = load_config(config_path)
    opened: list[Catalog] = []

    def catalog() -> Catalog:
        if not opened:
            opened.append(open_catalog(config.catalog_url))
        return opened[0]

    try:
        yield StatusDesk(config, catalog)
    finally:
        for each in opened:
            each.close()

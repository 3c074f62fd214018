"""The environment that Prefect's own programs run in, and what a worker's environment says about the configuration."""

import os
from collections.abc import Mapping
from pathlib import Path

from shared.config.load import CONFIG_NAME, CONFIG_VARIABLE

# The work pool; the same name stands in prefect.yaml.
POOL = "goldcopy"
MARKER = "GOLDCOPY_SUPERVISOR"
# What a person may have set for another Prefect must not reach ours; the database of the server is theirs to choose.
_PASSED_ON = ("PREFECT_SERVER_DATABASE_", "PREFECT_API_DATABASE_", "PREFECT_LOGGING_LEVEL")

SETTINGS = {
    # A wrong address must fail, not start a private server that schedules nothing.
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "DO_NOT_TRACK": "1",
    # The default keeps leases in memory: a restart of the server would leak every slot for good.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    # History lives in the catalog; without this Prefect keeps runs for ever.
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "flows,shared",
    # Readers and uploaders log from threads of their own.
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PYTHONUNBUFFERED": "1",
}


def program_environment(*, home: Path, api_url: str, config: Path, supervisor: str) -> dict[str, str]:
    """Return the environment of the server, the worker, and so of every flow run.

    Args:
        home: Where Prefect keeps its database and settings.
        api_url: Address of the server's API.
        config: The configuration file, absolute.
        supervisor: Marks all descendants, so that leftovers of a killed supervisor are found.
    """
    kept = {name: value for name, value in os.environ.items() if _is_kept(name)}
    return (
        kept
        | SETTINGS
        | {
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": api_url,
            "PREFECT_UI_URL": api_url.removesuffix("/api"),
            CONFIG_VARIABLE: str(config),
            MARKER: supervisor,
        }
    )


def use_for_this_process(environment: Mapping[str, str]) -> None:
    """Give this process the same view of Prefect; must come before the first import of Prefect."""
    for name in [name for name in os.environ if not _is_kept(name)]:
        del os.environ[name]
    os.environ.update({name: value for name, value in environment.items() if name.startswith(("PREFECT_", "DO_NOT"))})


def _is_kept(name: str) -> bool:
    return name.startswith(_PASSED_ON) or not name.startswith("PREFECT_")


def config_of_worker() -> Path:
    """Return where this worker says the configuration is.

    Prefect runs pull steps in a temporary folder, so the folder in which the worker was started is taken from PWD,
    which every shell sets and every run inherits.
    """
    given = Path(os.environ.get(CONFIG_VARIABLE) or CONFIG_NAME).expanduser()
    return (Path(os.environ.get("PWD") or Path.cwd()) / given).resolve()

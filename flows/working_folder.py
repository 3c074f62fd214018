"""The pull step of every deployment: enter the folder of `goldcopy.toml`, on whatever worker runs."""

from flows.supervision_environment import config_of_worker
from shared.errors import ConfigInvalid


def enter_config_folder() -> dict[str, str]:
    """Tell Prefect which folder a run works in: the one that holds the configuration.

    The flows themselves are imported from the installed package, so nothing has to be fetched.

    Returns:
        `{"directory": path}`, as Prefect's pull steps do.

    Raises:
        ConfigInvalid: This worker does not know where the configuration is.
    """
    config = config_of_worker()
    if not config.is_file():
        raise ConfigInvalid(
            f"this worker finds no configuration at {config}",
            hint="Start the worker in the folder of goldcopy.toml, or set GOLDCOPY_CONFIG to its full path there.",
        )
    return {"directory": str(config.parent)}

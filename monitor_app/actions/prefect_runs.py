"""Start a run of a Prefect deployment over Prefect's own HTTP API; importing Prefect would double the app's memory."""

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from shared.config.load import Config
from shared.errors import ProgramFailed, ProgramMissing

_TIMEOUT_SECONDS = 15.0
_STATE_FILE = "up.json"


def start_run(config: Config, deployment: str, parameters: Mapping[str, Any], *, token: str, actor: str) -> str:
    """Start a deployment's run; with a token that was used it returns the run that was started then.

    Args:
        config: Says where Prefect is.
        deployment: `flow/deployment` as in prefect.yaml.
        parameters: Of the flow.
        token: Prefect's idempotency key.
        actor: Who asks; written on the run.

    Returns:
        Id of the run.

    Raises:
        ProgramMissing: No Prefect server is known here.
        ProgramFailed: It does not answer, does not know the deployment, or refuses the parameters.
    """
    url = prefect_url(config)
    body = {
        "parameters": dict(parameters),
        "idempotency_key": token,
        "tags": ["asked-for"],
        "labels": {"goldcopy.asked_by": actor},
    }
    try:
        with httpx.Client(base_url=url, headers=_headers(config), timeout=_TIMEOUT_SECONDS) as client:
            found = client.get(f"/deployments/name/{deployment}")
            if found.status_code == httpx.codes.NOT_FOUND:
                raise ProgramFailed(f"Prefect has no deployment {deployment}", hint="Run `prefect deploy --all`.")
            found.raise_for_status()
            started = client.post(f"/deployments/{found.json()['id']}/create_flow_run", json=body)
            started.raise_for_status()
            return str(started.json()["id"])
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        raise ProgramFailed(
            f"Prefect's API at {_place(url)} does not do what was asked ({_words(error)})",
            hint="Check that the Prefect server runs (`goldcopy up`) and lets this app in; nothing was started.",
        ) from error


def prefect_url(config: Config) -> str:
    """Return the address of Prefect's API: as configured, else of the environment, else of `goldcopy up` here.

    Raises:
        ProgramMissing: None is known.
    """
    given = config.file.app.prefect_url
    if given:
        return config.references.text(given, key="app.prefect_url").rstrip("/")
    known = config.references.environment.get("PREFECT_API_URL") or _of_goldcopy_up(config)
    if not known:
        raise ProgramMissing(
            "no Prefect server is known here, so nothing can be started from the app",
            hint="Start `goldcopy up`, or set [app] prefect_url to your Prefect's API.",
        )
    return known.rstrip("/")


def _place(url: str) -> str:
    """Return an address as it may be told: without name, password, query and fragment, any of which may be a secret."""
    try:
        found = urlsplit(url)
        port = f":{found.port}" if found.port else ""
    except ValueError:
        return "an address that cannot be read"
    return f"{found.scheme}://{found.hostname or ''}{port}{found.path}"


def _of_goldcopy_up(config: Config) -> str:
    try:
        port = json.loads((config.state_folder / _STATE_FILE).read_text("utf-8"))["port"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return f"http://127.0.0.1:{int(port)}/api"


def _headers(config: Config) -> dict[str, str]:
    environment = config.references.environment
    if key := environment.get("PREFECT_API_KEY"):
        return {"authorization": f"Bearer {key}"}
    if text := environment.get("PREFECT_API_AUTH_STRING"):
        return {"authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}
    return {}


def _words(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"it answered {error.response.status_code}"
    return type(error).__name__

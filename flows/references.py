"""Values of `goldcopy.toml` that live in Prefect blocks.

| reference                      | block                          | gives                                       |
| ------------------------------ | ------------------------------ | ------------------------------------------- |
| `prefect:NAME`                 | Secret                         | its text                                    |
| `prefect:secret/NAME`          | Secret                         | its text                                    |
| `prefect:aws-credentials/NAME` | AwsCredentials (prefect-aws)   | keys, region, endpoint                      |
| `prefect:minio-credentials/NAME` | MinIOCredentials (prefect-aws) | keys, region, endpoint                    |
| `prefect:s3-bucket/NAME`       | S3Bucket (prefect-aws)         | the same with bucket and prefix             |
"""

from typing import Any

import httpx
from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import get_current_settings

from shared.errors import ConfigInvalid

SCHEME = "prefect:"


def resolve(reference: str) -> str | dict[str, str]:
    """Read the block that a reference names.

    Returns:
        The text of a Secret block; for AWS blocks a mapping with those of `endpoint_url`, `region`, `access_key_id`,
        `secret_access_key`, `session_token`, `profile`, `bucket`, `prefix` that the block holds.

    Raises:
        ConfigInvalid: No such block, or Prefect's API cannot be reached.
    """
    kind, slash, name = reference.removeprefix(SCHEME).partition("/")
    if not slash:
        return resolve_secret(kind)
    if kind == "secret":
        return resolve_secret(name)
    if kind in ("aws-credentials", "minio-credentials", "s3-bucket"):
        return s3_settings(kind, name)
    raise ConfigInvalid(
        f"{reference} names a kind of block that is not known here",
        hint="Use prefect:NAME for a Secret, or aws-credentials/, minio-credentials/ or s3-bucket/ before the name.",
    )


def resolve_secret(name: str) -> str:
    """Return the text of a Secret block.

    Raises:
        ConfigInvalid: No such block, it holds no text, or the API cannot be reached.
    """
    value = _load(Secret, "secret", name).get()
    if not isinstance(value, str) or not value:
        raise ConfigInvalid(
            f"the Prefect block secret/{name} holds no text", hint="Put the value into the block as plain text."
        )
    return value


def s3_settings(kind: str, name: str) -> dict[str, str]:
    """Return what an AWS block says about an S3 store; only what it holds.

    Raises:
        ConfigInvalid: No such block, or the API cannot be reached.
    """
    # Imported here: 0.7 s and 24 MB that only stores configured by blocks need.
    from prefect_aws import AwsCredentials, MinIOCredentials
    from prefect_aws.s3 import S3Bucket

    if kind != "s3-bucket":
        block = AwsCredentials if kind == "aws-credentials" else MinIOCredentials
        return _present(_credentials(_load(block, kind, name)))
    bucket: Any = _load(S3Bucket, kind, name)
    place = {"bucket": bucket.bucket_name, "prefix": bucket.bucket_folder.strip("/")}
    return _present(_credentials(bucket.credentials) | place)


def _credentials(block: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"region": block.region_name, "endpoint_url": block.aws_client_parameters.endpoint_url}
    if block.get_block_type_slug() == "minio-credentials":
        return found | {"access_key_id": block.minio_root_user, "secret_access_key": block.minio_root_password}
    return found | {
        "access_key_id": block.aws_access_key_id,
        "secret_access_key": block.aws_secret_access_key,
        "session_token": block.aws_session_token,
        "profile": block.profile_name,
    }


def _present(settings: dict[str, Any]) -> dict[str, str]:
    """Drop what is empty, and take secrets out of their wrapping."""
    plain = {
        key: value.get_secret_value() if hasattr(value, "get_secret_value") else value
        for key, value in settings.items()
    }
    return {key: str(value) for key, value in plain.items() if value}


def _load(block: type[Block], kind: str, name: str) -> Any:
    if not get_current_settings().api.url:
        raise ConfigInvalid(
            f"the Prefect block {kind}/{name} cannot be read: no Prefect API is configured here",
            hint="Set PREFECT_API_URL, or keep this value in env: or file: instead.",
        )
    try:
        # `_sync` is Prefect's own switch against an event loop that may run in this thread.
        return block.load(name, _sync=True)  # type: ignore[call-arg]
    except ValueError as error:
        raise ConfigInvalid(
            f"there is no Prefect block {kind}/{name}", hint="Create it on Prefect's blocks page, or correct the name."
        ) from error
    except PrefectHTTPStatusError as error:
        raise ConfigInvalid(
            f"Prefect refuses to show the block {kind}/{name} (HTTP {error.response.status_code})",
            hint="Check PREFECT_API_KEY or PREFECT_API_AUTH_STRING.",
        ) from error
    except httpx.HTTPError as error:
        raise ConfigInvalid(
            f"the Prefect block {kind}/{name} cannot be read: Prefect's API does not answer",
            hint="Start the Prefect server, or correct PREFECT_API_URL.",
        ) from error

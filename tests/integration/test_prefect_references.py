"""References to Prefect blocks, read through a real API."""

import pytest
from prefect.blocks.system import Secret
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_aws import AwsCredentials, MinIOCredentials
from prefect_aws.s3 import S3Bucket

from flows.references import resolve
from shared.errors import ConfigInvalid


@pytest.fixture(scope="module", autouse=True)
def blocks(prefect_backend: None) -> None:
    Secret(value="postgresql://db/app").save("app-url")
    aws = AwsCredentials(
        aws_access_key_id="AKIA1",
        aws_secret_access_key="s3cret",
        region_name="eu-central-1",
        aws_client_parameters={"endpoint_url": "https://s3.example.org"},
    )
    aws.save("prod")
    S3Bucket(bucket_name="backups", bucket_folder="gold/", credentials=aws).save("prod")
    MinIOCredentials(minio_root_user="root", minio_root_password="pw").save("lab")


def test_secret_is_read_by_short_and_long_reference() -> None:
    assert resolve("prefect:app-url") == resolve("prefect:secret/app-url") == "postgresql://db/app"


def test_aws_blocks_give_settings_of_the_store() -> None:
    keys = {"access_key_id": "AKIA1", "secret_access_key": "s3cret"}
    place = {"region": "eu-central-1", "endpoint_url": "https://s3.example.org"}
    assert resolve("prefect:aws-credentials/prod") == keys | place
    assert resolve("prefect:s3-bucket/prod") == keys | place | {"bucket": "backups", "prefix": "gold"}
    assert resolve("prefect:minio-credentials/lab") == {"access_key_id": "root", "secret_access_key": "pw"}


@pytest.mark.parametrize(
    "reference", ["prefect:nothing", "prefect:aws-credentials/nothing", "prefect:s3-bucket/nothing"]
)
def test_missing_block_is_named(reference: str) -> None:
    with pytest.raises(ConfigInvalid, match=r"there is no Prefect block .*nothing"):
        resolve(reference)


def test_unknown_kind_of_block_is_refused() -> None:
    with pytest.raises(ConfigInvalid, match="not known"):
        resolve("prefect:gcp-credentials/x")


def test_unreachable_api_and_none_at_all_are_told_apart() -> None:
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}), pytest.raises(ConfigInvalid, match="answer"):
        resolve("prefect:app-url")
    with temporary_settings(restore_defaults={PREFECT_API_URL}), pytest.raises(ConfigInvalid, match="no Prefect API"):
        resolve("prefect:app-url")

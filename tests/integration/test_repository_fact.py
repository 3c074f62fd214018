"""Whether backups lie on another machine: only what is certain is said."""

from pathlib import Path

import pytest

from shared.config.load import load_config
from shared.wiring.reporting import repository_fact

PLACES = {
    "": True,
    "https://s3.eu-central-003.backblazeb2.com": True,
    "https://acme.r2.cloudflarestorage.com.": True,
    "https://1.1.1.1:9000": True,
    "http://127.0.0.1:9000": None,
    "http://127.1:9000": None,
    "http://0.0.0.0:9000": None,
    "http://[::1]:9000": None,
    "http://[::ffff:127.0.0.1]:9000": None,
    "http://192.168.1.7:9000": None,
    "http://localhost:9000": None,
    "http://localhost.:9000": None,
    "http://localhost.localdomain:9000": None,
    "http://minio:9000": None,
    "http://nas.local:9000": None,
    "env:ENDPOINT": None,
}


def fact(folder: Path, endpoint: str, **environment: str) -> bool | None:
    path = folder / "goldcopy.toml"
    line = f'endpoint_url = "{endpoint}"' if endpoint else ""
    path.write_text(f"""
[repository]
url = "s3://bucket/goldcopy"
recipients = ["age1xpmmh2495zt6qxzzerk879z35qkf7sef2weywhw3n8pwawvy2p8qjvsn7j"]
{line}
""")
    return repository_fact(load_config(str(path), environment)).is_elsewhere


@pytest.mark.parametrize(("endpoint", "expected"), PLACES.items())
def test_store_is_elsewhere_only_where_that_is_certain(endpoint: str, expected: bool | None, tmp_path: Path) -> None:
    assert fact(tmp_path, endpoint) is expected


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_endpoint_of_the_environment_counts_as_the_client_takes_it(name: str, tmp_path: Path) -> None:
    assert fact(tmp_path, "", **{name: "http://127.0.0.1:9000"}) is None

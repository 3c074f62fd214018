"""What is particular to S3: what a store refuses, lacks, loses or leaves unfinished."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from shared.clock import monotonic_seconds
from shared.errors import ConfigInvalid, GoldcopyError, ObjectExists, ObjectMissing, StoreRefused, StoreUnreachable
from shared.repository.retrying import Retrying
from shared.repository.s3 import S3Settings, S3Store, build_client
from tests.support.s3_server import S3Credentials, S3Place

IMPATIENT = Retrying(attempts=4, sleep=lambda _seconds: None)
LARGE = os.urandom(20 << 20)


class FaultyClient:
    """A client in front of the real one; its subclasses fail in one way each, and it counts what was asked."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.meta = inner.meta
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Any:
        def call(**parameters: Any) -> Any:
            self.asked.append((operation, parameters))
            return self.answer(operation, parameters)

        return call

    def answer(self, operation: str, parameters: dict[str, Any]) -> Any:
        return getattr(self.inner, operation)(**parameters)

    def count(self, operation: str) -> int:
        return sum(asked == operation for asked, _ in self.asked)


class Lacks(FaultyClient):
    """Answers NotImplemented to requests with certain headers, as older and smaller stores do."""

    code = "NotImplemented"

    def __init__(self, inner: Any, *headers: str) -> None:
        super().__init__(inner)
        self.headers = headers

    def answer(self, operation: str, parameters: dict[str, Any]) -> Any:
        if any(header in parameters for header in self.headers):
            raise ClientError({"Error": {"Code": self.code}, "ResponseMetadata": {"HTTPStatusCode": 501}}, operation)
        return super().answer(operation, parameters)


class SaysNothingOfDigests(FaultyClient):
    """Takes every header and gives back neither checksum nor an ETag that is an MD5."""

    def answer(self, operation: str, parameters: dict[str, Any]) -> Any:
        response = super().answer(operation, parameters)
        response.pop("ChecksumSHA256", None)
        if operation in ("put_object", "complete_multipart_upload"):
            response["ETag"] = '"opaque"'
        return response


class StoresOtherBytes(SaysNothingOfDigests):
    """Damages what it stores, and says nothing."""

    def answer(self, operation: str, parameters: dict[str, Any]) -> Any:
        if operation == "put_object":
            parameters = {
                "Body": b"damaged" + parameters["Body"],
                "Bucket": parameters["Bucket"],
                "Key": parameters["Key"],
            }
        return super().answer(operation, parameters)


class Answers(FaultyClient):
    """Answers an operation badly some times, before or after carrying it out."""

    def __init__(
        self, inner: Any, operation: str, error: Exception, *, times: int = 1, is_carried_out: bool = False
    ) -> None:
        super().__init__(inner)
        self.operation, self.error, self.times, self.is_carried_out = operation, error, times, is_carried_out

    def answer(self, operation: str, parameters: dict[str, Any]) -> Any:
        if operation != self.operation or self.times == 0:
            return super().answer(operation, parameters)
        self.times -= 1
        if self.is_carried_out:
            super().answer(operation, parameters)
        raise self.error


def client_error(code: str, status: int, operation: str = "PutObject") -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, operation)


TIMEOUT = ReadTimeoutError(endpoint_url="http://store")


def store_with(place: S3Place, client: FaultyClient) -> S3Store:
    return S3Store(client, place.bucket, place.prefix, retrying=IMPATIENT)


def unfinished(store: S3Store, *, before: datetime | None = None) -> int:
    return store.discard_unfinished(before=before or datetime.now(UTC) + timedelta(hours=1))


# --- refusals --------------------------------------------------------------------------------------------------------


def test_read_only_credentials_read_and_cannot_write(s3_place: S3Place) -> None:
    s3_place.store().put("folder/key", b"1")
    reader = s3_place.store(s3_place.server.reader)
    assert reader.get("folder/key") == b"1"
    assert [stored.key for stored in reader.list("")] == ["folder/key"]
    for change in (
        lambda: reader.put("new", b"2"),
        lambda: reader.put("large", LARGE),
        lambda: reader.put("folder/key", b"2", replace=True),
        lambda: reader.delete("folder/key"),
    ):
        with pytest.raises(StoreRefused) as caught:
            change()
        assert "s3:PutObject" in caught.value.hint
    assert s3_place.store().get("folder/key") == b"1"


@pytest.mark.parametrize(
    ("access_key", "secret_key", "hint"),
    [(None, "wrong-secret", "secret key"), ("UNKNOWNKEY", "wrong-secret", "access key")],
)
def test_wrong_credentials_are_named(s3_place: S3Place, access_key: str | None, secret_key: str, hint: str) -> None:
    pair = S3Credentials(access_key or s3_place.server.writer.access_key, secret_key)
    store = s3_place.store(pair)
    for use in (lambda: store.get("key"), lambda: store.put("key", b"1"), lambda: list(store.list(""))):
        with pytest.raises(StoreRefused) as caught:
            use()
        assert hint in caught.value.hint
        assert secret_key not in str(caught.value)
    with pytest.raises(StoreRefused):
        store.stat("key")


def test_a_missing_bucket_is_not_taken_for_an_empty_one(s3_place: S3Place) -> None:
    store = S3Store(s3_place.server.client(), "no-such-bucket", "", retrying=IMPATIENT)
    for use in (
        lambda: store.get("key"),
        lambda: store.stat("key"),
        lambda: list(store.list("")),
        lambda: store.folders(""),
    ):
        with pytest.raises(StoreRefused, match="no-such-bucket") as caught:
            use()
        assert "bucket" in caught.value.hint


def test_an_endpoint_where_nothing_listens_is_reported_soon() -> None:
    settings = S3Settings(bucket="bucket", endpoint_url="http://127.0.0.1:9", access_key="a", secret_key="hidden")
    store = S3Store(build_client(settings), "bucket")
    began = monotonic_seconds()
    with pytest.raises(StoreUnreachable, match=r"s3://bucket at http://127\.0\.0\.1:9 does not answer") as caught:
        store.get("key")
    assert monotonic_seconds() - began < 15
    assert "hidden" not in str(caught.value)
    assert caught.value.retryable


def test_a_host_name_that_does_not_exist_is_reported() -> None:
    settings = S3Settings(bucket="bucket", endpoint_url="http://store.invalid", access_key="a", secret_key="b")
    with pytest.raises(StoreUnreachable, match=r"store\.invalid"):
        S3Store(build_client(settings), "bucket", retrying=IMPATIENT).stat("key")


def test_settings_that_are_no_address_are_refused_before_any_request() -> None:
    with pytest.raises(ConfigInvalid, match="bucket b"):
        build_client(S3Settings(bucket="b", endpoint_url="not an address", access_key="a", secret_key="s"))


def test_settings_never_print_their_secrets() -> None:
    settings = S3Settings(bucket="b", access_key="a", secret_key="hidden", session_token="concealed")
    assert "hidden" not in repr(settings)
    assert "concealed" not in repr(settings)


@pytest.mark.parametrize(
    ("code", "status", "kind", "hint"),
    [
        ("AccessDenied", 403, StoreRefused, "s3:PutObject"),
        ("RequestTimeTooSkewed", 403, StoreRefused, "clock"),
        ("PermanentRedirect", 301, StoreRefused, "region"),
        ("ExpiredToken", 400, StoreRefused, "temporary credentials"),
        ("SlowDown", 503, StoreUnreachable, "later"),
        ("TooManyRequests", 429, StoreUnreachable, "later"),
        ("InternalError", 500, StoreUnreachable, "later"),
        ("BadDigest", 400, StoreUnreachable, "later"),
        ("Unheard", 400, StoreRefused, "endpoint"),
    ],
)
def test_an_answer_is_repeated_exactly_when_that_may_help(
    s3_place: S3Place, code: str, status: int, kind: type[GoldcopyError], hint: str
) -> None:
    client = Answers(s3_place.server.client(), "put_object", client_error(code, status), times=99)
    with pytest.raises(kind) as caught:
        store_with(s3_place, client).put("key", b"1")
    assert hint in caught.value.hint
    assert client.count("put_object") == (4 if kind is StoreUnreachable else 1)


# --- patience --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "operation", ["put_object", "create_multipart_upload", "upload_part", "complete_multipart_upload"]
)
@pytest.mark.parametrize("error", [client_error("SlowDown", 503), TIMEOUT, ConnectionResetError()])
def test_a_write_outlives_some_bad_answers(s3_place: S3Place, operation: str, error: Exception) -> None:
    client = Answers(s3_place.server.client(), operation, error, times=2)
    data = b"small" if operation == "put_object" else LARGE
    store = store_with(s3_place, client)
    store.put("key", data)
    assert store.get("key") == data
    assert client.times == 0


@pytest.mark.parametrize("operation", ["put_object", "complete_multipart_upload"])
def test_a_write_whose_answer_was_lost_counts_as_this_one_s(s3_place: S3Place, operation: str) -> None:
    client = Answers(s3_place.server.client(), operation, TIMEOUT, is_carried_out=True)
    data = b"small" if operation == "put_object" else LARGE
    stored = store_with(s3_place, client).put("key", data)
    assert client.count(operation) == 2
    assert stored.stored_bytes == len(data)
    assert s3_place.store().get("key") == data


def test_a_lost_answer_does_not_make_another_s_object_ours(s3_place: S3Place) -> None:
    s3_place.store().put("key", b"another's")
    client = Answers(s3_place.server.client(), "put_object", TIMEOUT)
    with pytest.raises(ObjectExists):
        store_with(s3_place, client).put("key", b"ours")
    assert s3_place.store().get("key") == b"another's"


class _CutBody:
    """A body whose line breaks half-way, the first times."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._body.close()

    def read(self) -> bytes:
        self._body.read(3)
        raise ConnectionResetError


class CutsBodies(FaultyClient):
    """Cuts the first bodies that it sends."""

    cuts = 2

    def answer(self, operation: str, parameters: dict[str, Any]) -> Any:
        response = super().answer(operation, parameters)
        if operation == "get_object" and self.cuts:
            self.cuts -= 1
            response["Body"] = _CutBody(response["Body"])
        return response


def test_a_body_that_is_cut_is_asked_for_again(s3_place: S3Place) -> None:
    s3_place.store().put("key", b"whole")
    client = CutsBodies(s3_place.server.client())
    assert store_with(s3_place, client).get("key") == b"whole"
    assert client.count("get_object") == 3


def test_pauses_grow_and_end() -> None:
    pauses: list[float] = []

    def fails() -> None:
        raise StoreUnreachable("down", hint="wait")

    with pytest.raises(StoreUnreachable):
        Retrying(attempts=9, first_wait_seconds=1, longest_wait_seconds=20, sleep=pauses.append).call(fails)
    assert len(pauses) == 8
    assert all(bound / 2 <= pause <= bound for pause, bound in zip(pauses, (1, 2, 4, 8, 16, 20, 20, 20), strict=True))


# --- stores that know less -------------------------------------------------------------------------------------------


@pytest.fixture(params=[b"small", LARGE], ids=["small", "large"])
def data(request: pytest.FixtureRequest) -> Iterator[bytes]:
    content: bytes = request.param
    return content  # type: ignore[return-value]


def test_a_store_without_conditions_is_asked_first(s3_place: S3Place, data: bytes) -> None:
    client = Lacks(s3_place.server.client(), "IfNoneMatch")
    store = store_with(s3_place, client)
    store.put("key", data)
    for _ in range(2):
        with pytest.raises(ObjectExists):
            store.put("key", data + b"!")
    assert store.get("key") == data
    tried = sum("IfNoneMatch" in parameters for _, parameters in client.asked)
    assert tried == 1, "what is known to be missing is not tried again"


def test_a_store_without_sha256_is_held_to_md5(s3_place: S3Place, data: bytes) -> None:
    client = Lacks(s3_place.server.client(), "ChecksumSHA256", "ChecksumAlgorithm", "ChecksumMode")
    store = store_with(s3_place, client)
    assert store.put("key", data).sha256 is None
    assert any("ContentMD5" in parameters for _, parameters in client.asked)
    assert store.get("key") == data
    stored = store.stat("key")
    assert stored is not None
    assert stored.stored_bytes == len(data)
    with pytest.raises(ObjectExists):
        store.put("key", data)


def test_a_store_that_knows_neither_still_works(s3_place: S3Place, data: bytes) -> None:
    client = Lacks(s3_place.server.client(), "ChecksumSHA256", "ChecksumAlgorithm", "ChecksumMode", "IfNoneMatch")
    store = store_with(s3_place, client)
    store.put("key", data)
    with pytest.raises(ObjectExists):
        store.put("key", data)
    store.put("key", data[:-1], replace=True)
    assert store.get("key") == data[:-1]


def test_a_replacement_tells_nothing_about_conditions(s3_place: S3Place) -> None:
    client = Lacks(s3_place.server.client(), "ChecksumSHA256")
    store = store_with(s3_place, client)
    store.put("key", b"1", replace=True)
    with pytest.raises(ObjectExists):
        store.put("key", b"2")
    assert "IfNoneMatch" in client.asked[-1][1]


def test_a_store_that_tells_no_digest_is_read_back(s3_place: S3Place, data: bytes) -> None:
    client = SaysNothingOfDigests(s3_place.server.client())
    store_with(s3_place, client).put("key", data)
    assert client.count("get_object") == (1 if data == b"small" else 0), "parts were proven one by one by their MD5"


def test_bytes_that_were_stored_otherwise_are_removed_and_reported(s3_place: S3Place) -> None:
    client = StoresOtherBytes(s3_place.server.client())
    with pytest.raises(StoreUnreachable, match="stored other bytes"):
        store_with(s3_place, client).put("key", b"data")
    assert s3_place.store().stat("key") is None


def test_a_digest_of_digests_is_not_passed_off_as_a_digest(s3_place: S3Place) -> None:
    store = s3_place.store()
    assert store.put("key", LARGE).sha256 is None
    stored = store.stat("key")
    assert stored is not None
    assert stored.sha256 is None


# --- unfinished uploads ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["upload_part", "complete_multipart_upload"])
def test_a_failed_upload_leaves_no_object_and_no_parts(s3_place: S3Place, operation: str) -> None:
    client = Answers(s3_place.server.client(), operation, client_error("AccessDenied", 403), times=99)
    store = store_with(s3_place, client)
    with pytest.raises(StoreRefused):
        store.put("key", LARGE)
    assert store.stat("key") is None
    assert unfinished(store) == 0


def test_uploads_that_a_killed_process_left_are_removed_once_old(s3_place: S3Place) -> None:
    client, store = s3_place.server.client(), s3_place.store()
    begun = [
        client.create_multipart_upload(Bucket=s3_place.bucket, Key=f"{s3_place.prefix}/cut-{number}")["UploadId"]
        for number in range(3)
    ]
    client.upload_part(
        Bucket=s3_place.bucket, Key=f"{s3_place.prefix}/cut-0", UploadId=begun[0], PartNumber=1, Body=b"x"
    )
    foreign = client.create_multipart_upload(Bucket=s3_place.bucket, Key=f"{s3_place.prefix}-elsewhere/x")["UploadId"]
    assert list(store.list("")) == []
    assert unfinished(store, before=datetime.now(UTC) - timedelta(hours=1)) == 0
    assert unfinished(store) == 3
    assert unfinished(store) == 0
    client.abort_multipart_upload(Bucket=s3_place.bucket, Key=f"{s3_place.prefix}-elsewhere/x", UploadId=foreign)


def test_a_store_keeps_to_its_prefix(s3_place: S3Place) -> None:
    store = s3_place.store()
    beside = S3Store(s3_place.server.client(), s3_place.bucket, f"{s3_place.prefix}-beside")
    beside.put("key", b"beside")
    store.put("key", b"ours")
    assert [stored.key for stored in store.list("")] == ["key"]
    assert store.get("key") == b"ours"
    with pytest.raises(ObjectMissing):
        store.get("other")


def test_many_threads_share_one_store(s3_place: S3Place) -> None:
    store = s3_place.store()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.put(f"large/{number}", LARGE[: (9 << 20) + number]), range(8)))
        sizes = list(pool.map(lambda number: len(store.get(f"large/{number}")), range(8)))
    assert sizes == [(9 << 20) + number for number in range(8)]

"""Objects in an S3-like store, written once, with checksums compared end to end.

What stores differ in is found out by asking, and remembered: conditional writes (else: look first) and stored SHA-256
checksums (else: the MD5 that an ETag is; else: read the object back). A listing is believed for names alone.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from shared.errors import ConfigInvalid, ObjectExists, ObjectMissing, StoreRefused
from shared.repository.layout import check_prefix
from shared.repository.retrying import Retrying
from shared.repository.s3_bucket import Response, S3Bucket
from shared.repository.s3_errors import NotSupported
from shared.repository.s3_writing import S3Write, WriteMode, Written
from shared.repository.store import StoredObject

MULTIPART_ABOVE_BYTES = 8 << 20
_PART_THREADS = 4
_CONNECT_TIMEOUT_SECONDS = 5
_READ_TIMEOUT_SECONDS = 60
_CONNECTIONS = 32

_Client = Any  # boto3 makes its clients at run time


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Settings:
    """How to reach a bucket.

    Attributes:
        bucket: Its name.
        prefix: Beginning of all keys, without slashes at its ends; may be empty.
        endpoint_url: Of an S3-like store; empty for Amazon's own.
        region: The bucket's region; empty takes the store's default.
        access_key: With `secret_key`; both empty take what boto3 finds (environment, profile, role).
        secret_key: Never printed.
        session_token: For temporary credentials.
        addressing_style: "path", "virtual" or "auto"; auto means path where an endpoint is given.
    """

    bucket: str
    prefix: str = ""
    endpoint_url: str = ""
    region: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    addressing_style: str = "auto"


def build_client(settings: S3Settings) -> _Client:
    """Make a boto3 client whose retries are left to the store, which knows what may be repeated.

    Raises:
        ConfigInvalid: The endpoint or the region cannot be used.
    """
    style = settings.addressing_style
    if style == "auto" and settings.endpoint_url:
        style = "path"
    config = Config(
        signature_version="s3v4",
        connect_timeout=_CONNECT_TIMEOUT_SECONDS,
        read_timeout=_READ_TIMEOUT_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=_CONNECTIONS,
        # without these two, boto3 adds checksums that older S3-like stores refuse; the store adds its own
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": style},
    )
    try:
        return boto3.session.Session().client(
            "s3",
            endpoint_url=settings.endpoint_url or None,
            region_name=settings.region or ("us-east-1" if settings.endpoint_url else None),
            aws_access_key_id=settings.access_key or None,
            aws_secret_access_key=settings.secret_key or None,
            aws_session_token=settings.session_token or None,
            config=config,
        )
    except (ValueError, BotoCoreError) as error:
        raise ConfigInvalid(
            f"the S3 settings for bucket {settings.bucket} cannot be used: {type(error).__name__}",
            hint="Check endpoint_url (http:// or https://, host and port) and region.",
        ) from None


class S3Store:
    """An object store in a bucket of any S3-like service; safe for many threads."""

    def __init__(self, client: _Client, bucket: str, prefix: str = "", *, retrying: Retrying | None = None) -> None:
        """Use a bucket; nothing is asked of it yet.

        Args:
            client: A boto3 S3 client, best from `build_client`.
            bucket: Name of an existing bucket.
            prefix: Beginning of all keys; may be empty.
            retrying: How to repeat what may succeed later.
        """
        self._bucket = S3Bucket(client, bucket, prefix, retrying or Retrying())
        self._mode = WriteMode(conditional=True, checksums=True)
        self._bucket_seen = False
        self._part_pool = ThreadPoolExecutor(_PART_THREADS, thread_name_prefix="s3-part")

    @property
    def url(self) -> str:
        """Where it is, for people."""
        return self._bucket.url

    def put(self, key: str, data: bytes, *, replace: bool = False) -> StoredObject:
        """Make `data` durable under `key`, checksummed on the way.

        Raises:
            ObjectExists: The key is taken and `replace` is false.
            StoreRefused: The bucket is missing, or no permission.
            StoreUnreachable: No good answer after several attempts.
            SpaceExhausted: A quota is used up.
        """
        refusal: NotSupported | None = None
        for mode in _simpler_modes(self._mode):
            if not replace and not mode.conditional and self.stat(key) is not None:
                raise ObjectExists(f"{key} exists already in {self.url}", hint="Nothing was changed.")
            asked = WriteMode(mode.conditional and not replace, mode.checksums)
            write = S3Write(self._bucket, key, data, asked)
            try:
                is_large = len(data) > MULTIPART_ABOVE_BYTES
                written = write.in_parts(self._part_pool) if is_large else write.at_once()
            except NotSupported as error:
                refusal = refusal or error
            else:
                self._remember(asked, replace=replace)
                return self._stored(key, data, written)
        assert refusal is not None
        raise refusal

    def get(self, key: str) -> bytes:
        """Return the object's bytes.

        Raises:
            ObjectMissing: There is no such object.
            StoreRefused: The bucket is missing, or no permission.
            StoreUnreachable: No good answer after several attempts.
        """
        return self._bucket.read(key)

    def stat(self, key: str) -> StoredObject | None:
        """Ask for one object by its key, or None where there is none."""
        try:
            response = self._head(key)
        except ObjectMissing:
            self._require_bucket()
            return None
        return StoredObject(
            key=key,
            stored_bytes=int(response["ContentLength"]),
            modified_at=response["LastModified"].astimezone(UTC),
            sha256=_hex_digest(response.get("ChecksumSHA256", "")),
        )

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose key begins with `prefix`; those of one folder in the order of their names' bytes."""
        for page in self._pages(prefix):
            for entry in page.get("Contents", ()):
                key = entry["Key"].removeprefix(self._bucket.prefix)
                if not key.endswith("/"):  # some tools store empty objects for folders
                    modified_at = entry["LastModified"].astimezone(UTC)
                    yield StoredObject(key=key, stored_bytes=int(entry["Size"]), modified_at=modified_at)

    def folders(self, prefix: str) -> tuple[str, ...]:
        """Return the names of the folders directly below `prefix`, which ends with a slash or is empty."""
        skipped = len(self._bucket.prefix + prefix)
        found = [
            entry["Prefix"][skipped:-1]
            for page in self._pages(prefix, Delimiter="/")
            for entry in page.get("CommonPrefixes", ())
        ]
        return tuple(sorted(name for name in found if name))

    def delete(self, key: str) -> None:
        """Remove an object; one that is gone already is no error. A versioned bucket keeps it as an old version."""
        try:
            self._bucket.ask("delete_object", key)
        except ObjectMissing:
            return

    def discard_unfinished(self, *, before: datetime) -> int:
        """Abort multipart uploads that were begun before an instant; return how many."""
        aborted = 0
        marker: Response = {}
        while True:
            try:
                page = self._bucket.ask_bucket("list_multipart_uploads", Prefix=self._bucket.prefix, **marker)
            except NotSupported:
                return aborted
            for upload in page.get("Uploads", ()):
                if upload["Initiated"] < before and upload["Key"].startswith(self._bucket.prefix):
                    aborted += self._abort(upload["Key"].removeprefix(self._bucket.prefix), upload["UploadId"])
            if not page.get("IsTruncated"):
                return aborted
            marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def _head(self, key: str) -> Response:
        if self._mode.checksums:
            try:
                return self._bucket.ask("head_object", key, ChecksumMode="ENABLED")
            except NotSupported:
                response = self._bucket.ask("head_object", key)
                self._mode = self._mode._replace(checksums=False)
                return response
        return self._bucket.ask("head_object", key)

    def _abort(self, key: str, upload_id: str) -> int:
        try:
            self._bucket.ask("abort_multipart_upload", key, UploadId=upload_id)
        except ObjectMissing:
            return 0
        return 1

    def _pages(self, prefix: str, **parameters: object) -> Iterator[Response]:
        wanted = self._bucket.prefix + check_prefix(prefix)
        page = self._bucket.ask_bucket("list_objects_v2", Prefix=wanted, **parameters)
        yield page
        while page.get("IsTruncated"):
            token = page["NextContinuationToken"]
            page = self._bucket.ask_bucket("list_objects_v2", Prefix=wanted, ContinuationToken=token, **parameters)
            yield page

    def _require_bucket(self) -> None:
        """Tell a missing object from a missing bucket: the answer to HEAD has no words for the difference."""
        if self._bucket_seen:
            return
        try:
            self._bucket.ask_bucket("head_bucket")
        except ObjectMissing:
            raise StoreRefused(
                f"there is no bucket for {self._bucket.where}",
                hint="Create the bucket, or correct its name in the configuration.",
            ) from None
        self._bucket_seen = True

    def _remember(self, asked: WriteMode, *, replace: bool) -> None:
        """Do without what the store does not know from now on; a replacement says nothing about conditions."""
        self._mode = WriteMode(self._mode.conditional if replace else asked.conditional, asked.checksums)

    def _stored(self, key: str, data: bytes, written: Written) -> StoredObject:
        date = (written.response or {}).get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if date is None:
            present = self.stat(key)
            if present is None:
                raise ObjectMissing(f"{key} is gone right after it was written", hint="See what deletes there.")
            return present
        sha256 = hashlib.sha256(data).hexdigest() if written.keeps_sha256 else None
        return StoredObject(
            key=key, stored_bytes=len(data), modified_at=parsedate_to_datetime(date).astimezone(UTC), sha256=sha256
        )


def _simpler_modes(mode: WriteMode) -> Iterator[WriteMode]:
    """Yield a mode and those that ask for less, the likelier first."""
    for checksums in (True, False):
        for conditional in (True, False):
            if conditional <= mode.conditional and checksums <= mode.checksums:
                yield WriteMode(conditional, checksums)


def _hex_digest(checksum: str) -> str | None:
    """Return the hex form of a whole object's SHA-256; a digest of digests (with a dash) is none."""
    try:
        digest = base64.b64decode(checksum, validate=True)
    except binascii.Error:
        return None
    return digest.hex() if len(digest) == 32 else None

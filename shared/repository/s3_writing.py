"""One write to an S3-like store, and the proof that what was sent is what is stored."""

import base64
import hashlib
from collections.abc import Sequence
from concurrent.futures import Executor, wait
from contextlib import suppress
from typing import NamedTuple

from shared.errors import ObjectExists, ObjectMissing, StoreProblem, StoreUnreachable
from shared.repository.s3_bucket import Response, S3Bucket

PART_BYTES = 8 << 20


class WriteMode(NamedTuple):
    """What is asked of the store with a write.

    Attributes:
        conditional: That it refuses a key that is taken.
        checksums: That it checks and keeps SHA-256.
    """

    conditional: bool
    checksums: bool


class Written(NamedTuple):
    """A finished write: the store's last answer (None where it was lost), and whether the store keeps the SHA-256."""

    response: Response | None
    keeps_sha256: bool


class _Part(NamedTuple):
    description: Response
    proven: bool


class S3Write:
    """Writes one object in one mode."""

    def __init__(self, bucket: S3Bucket, key: str, data: bytes, mode: WriteMode) -> None:
        """Prepare; nothing is sent yet."""
        self._bucket = bucket
        self._key = key
        self._data = data
        self._mode = mode
        self._condition: Response = {"IfNoneMatch": "*"} if mode.conditional else {}

    def at_once(self) -> Written:
        """Write with a single request.

        Raises:
            ObjectExists: The key is taken, and the mode is conditional.
            StoreProblem: It failed; no object was left.
        """
        response = self._decisive("put_object", Body=self._data, **self._checks(self._data))
        if response is not None and _received_by_sha256(response, self._data):
            return Written(response, keeps_sha256=True)
        if response is None or not _received_by_md5(response, self._data):
            self._require_stored()
        return Written(response, keeps_sha256=False)

    def in_parts(self, pool: Executor) -> Written:
        """Write with parts that travel in parallel; a failed write is taken back.

        Raises:
            ObjectExists: The key is taken, and the mode is conditional.
            StoreProblem: It failed; no object was left.
        """
        algorithm = {"ChecksumAlgorithm": "SHA256"} if self._mode.checksums else {}
        upload_id = str(self._bucket.ask("create_multipart_upload", self._key, **algorithm)["UploadId"])
        try:
            parts = self._send_parts(upload_id, pool)
            listed = {"Parts": [part.description for part in parts]}
            response = self._decisive("complete_multipart_upload", UploadId=upload_id, MultipartUpload=listed)
        except BaseException:
            with suppress(StoreProblem):  # the first error counts; discard_unfinished removes what stays
                self._bucket.ask_once("abort_multipart_upload", self._key, UploadId=upload_id)
            raise
        size_bytes = self._bucket.ask("head_object", self._key)["ContentLength"]
        proven = all(part.proven for part in parts) and response is not None and size_bytes == len(self._data)
        if not proven:
            self._require_stored()
        return Written(response, keeps_sha256=False)  # what it keeps is a digest of digests

    def _send_parts(self, upload_id: str, pool: Executor) -> Sequence[_Part]:
        starts = range(0, len(self._data), PART_BYTES)
        sent = [pool.submit(self._send_part, upload_id, number, start) for number, start in enumerate(starts, start=1)]
        try:
            return [part.result() for part in sent]
        finally:
            for part in sent:
                part.cancel()
            wait(sent)

    def _send_part(self, upload_id: str, number: int, start: int) -> _Part:
        piece = self._data[start : start + PART_BYTES]
        response = self._bucket.ask(
            "upload_part", self._key, UploadId=upload_id, PartNumber=number, Body=piece, **self._checks(piece)
        )
        description = {"PartNumber": number, "ETag": response["ETag"]}
        if _received_by_sha256(response, piece):
            return _Part(description | {"ChecksumSHA256": response["ChecksumSHA256"]}, proven=True)
        return _Part(description, proven=_received_by_md5(response, piece))

    def _checks(self, piece: bytes) -> Response:
        if self._mode.checksums:
            return {"ChecksumSHA256": _base64(hashlib.sha256(piece).digest())}
        return {"ContentMD5": _base64(_md5(piece).digest())}

    def _decisive(self, operation: str, **parameters: object) -> Response | None:
        """Send the request that makes the object appear; None where it did but the answer was lost."""
        is_unanswered = False

        def attempt() -> Response | None:
            nonlocal is_unanswered
            try:
                return self._bucket.ask_once(operation, self._key, **parameters, **self._condition)
            except StoreUnreachable:
                is_unanswered = True
                raise
            except (ObjectExists, ObjectMissing):
                # An earlier attempt may have been carried out although its answer never came: then the key is taken,
                # or the upload gone, because of ourselves.
                if is_unanswered and self._is_stored():
                    return None
                raise

        return self._bucket.retrying.call(attempt)

    def _is_stored(self) -> bool:
        try:
            return self._bucket.read(self._key) == self._data
        except ObjectMissing:
            return False

    def _require_stored(self) -> None:
        """Read the object back, because the store gave no digest to compare."""
        if self._is_stored():
            return
        with suppress(StoreProblem):
            self._bucket.ask("delete_object", self._key)
        raise StoreUnreachable(
            f"{self._bucket.where} stored other bytes than were sent under {self._key}; they were removed",
            hint="Check the store and what is between; then run it again.",
        )


def _received_by_sha256(response: Response, piece: bytes) -> bool:
    return bool(response.get("ChecksumSHA256") == _base64(hashlib.sha256(piece).digest()))


def _received_by_md5(response: Response, piece: bytes) -> bool:
    """An ETag is the MD5 of what arrived, in most stores and where the store does not encrypt with keys of its own."""
    return str(response.get("ETag", "")).strip('"').lower() == _md5(piece).hexdigest()


def _md5(piece: bytes) -> "hashlib._Hash":
    return hashlib.md5(piece, usedforsecurity=False)


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")

"""What an S3 client's errors mean for a repository: unreachable, refused, missing, taken, or not supported."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ResponseStreamingError,
    SSLError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError

from shared.errors import ObjectExists, ObjectMissing, SpaceExhausted, StoreProblem, StoreRefused, StoreUnreachable

_BUSY_CODES = frozenset(
    {
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "RequestLimitExceeded",
        "TooManyRequests",
        "RequestTimeout",
        "InternalError",
        "ServiceUnavailable",
        "OperationAborted",
        "ConditionalRequestConflict",
        "BadDigest",  # the bytes were damaged on the way
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
    }
)
_MISSING_CODES = frozenset({"NoSuchKey", "NoSuchUpload", "404", "NotFound"})
_TAKEN_CODES = frozenset({"PreconditionFailed", "412"})
_FULL_CODES = frozenset({"QuotaExceeded", "XMinioStorageFull", "InsufficientCapacity", "507"})
# what stores answer to headers that they do not know
_UNSUPPORTED_CODES = frozenset({"NotImplemented", "501", "InvalidArgument", "InvalidRequest", "400"})
_HINTS = {
    "NoSuchBucket": "Create the bucket, or correct its name in the configuration.",
    "InvalidAccessKeyId": "Correct the access key: the store does not know it.",
    "SignatureDoesNotMatch": "Correct the secret key: the store does not accept the signature.",
    "RequestTimeTooSkewed": "Set this machine's clock; the store refuses requests that are minutes off.",
    "PermanentRedirect": "Set `region` to the bucket's own region.",
    "AuthorizationHeaderMalformed": "Set `region` to the bucket's own region.",
    "ExpiredToken": "Renew the temporary credentials.",
    "InvalidToken": "Renew the temporary credentials.",
    "MethodNotAllowed": "See whether the endpoint is an S3 endpoint.",
}
_PERMISSIONS = (
    "Allow s3:GetObject, s3:PutObject, s3:ListBucket, s3:ListBucketMultipartUploads and s3:AbortMultipartUpload "
    "(and s3:DeleteObject for cleanup), and check the credentials."
)


class NotSupported(StoreRefused):
    """The store does not know a feature that was asked for; the caller does without."""


def store_problem(error: Exception, subject: str, url: str) -> StoreProblem:
    """Say what a client's error means.

    Args:
        error: As botocore or urllib3 raised it.
        subject: What it is about: a key, or words.
        url: Where, without secrets.
    """
    if isinstance(error, ClientError):
        return _answered(error, subject, url)
    name = type(error).__name__
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return StoreRefused(f"no credentials for {url}", hint="Set access key and secret key for the repository.")
    if isinstance(error, SSLError):
        return StoreRefused(
            f"the certificate of {url} is not trusted", hint="Add its authority to the system, or correct the endpoint."
        )
    temporary = HTTPClientError | BotoConnectionError | IncompleteReadError | ResponseStreamingError | OSError
    if isinstance(error, temporary):
        return StoreUnreachable(
            f"{url} does not answer, asked for {subject} ({name})",
            hint="Check the endpoint, the network and that the store is up; then run it again.",
        )
    if isinstance(error, BotoCoreError):
        return StoreRefused(f"{url} cannot be used for {subject} ({name})", hint="Check endpoint, bucket and region.")
    return StoreUnreachable(f"{url} answered {subject} in a way that is no S3 ({name})", hint="Check the endpoint.")


def _answered(error: ClientError, subject: str, url: str) -> StoreProblem:
    code, status = _code(error), _status(error)
    if code in _UNSUPPORTED_CODES or status == 501:
        return NotSupported(
            f"{url} does not support what was asked for {subject} ({code})", hint="Check endpoint, bucket and region."
        )
    if code in _TAKEN_CODES or status == 412:
        return ObjectExists(f"{subject} exists already in {url}", hint="Objects are written once; nothing was changed.")
    if code in _FULL_CODES or status == 507:
        return SpaceExhausted(f"{url} has no room for {subject} ({code})", hint="Raise its quota or add space.")
    if code in _HINTS:
        return StoreRefused(f"{url} refused {subject} ({code})", hint=_HINTS[code])
    if code in _MISSING_CODES:
        return ObjectMissing(
            f"{subject} is missing in {url}",
            hint="Look for it in another copy of the repository; `goldcopy audit` lists what else is missing.",
        )
    if code in _BUSY_CODES or status == 429 or status >= 500:
        return StoreUnreachable(f"{url} is busy or failing, asked for {subject} ({code})", hint="Run it again later.")
    if status in (401, 403):
        return StoreRefused(f"{url} refused {subject} ({code})", hint=_PERMISSIONS)
    return StoreRefused(f"{url} refused {subject} ({code})", hint="Check endpoint, bucket and region.")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))

"""Requests to one bucket: keys below a prefix, errors in Goldcopy's own words, patience where it helps."""

from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from shared.repository.layout import check_key
from shared.repository.retrying import Retrying
from shared.repository.s3_errors import store_problem

Response = dict[str, Any]  # botocore answers with plain dicts

_CLIENT_ERRORS = (ClientError, BotoCoreError, ResponseParserError, OSError)


class S3Bucket:
    """One bucket and the prefix in it that is ours."""

    def __init__(self, client: Any, name: str, prefix: str, retrying: Retrying) -> None:
        """Use a bucket; nothing is asked of it yet."""
        self.retrying = retrying
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.url = f"s3://{name}/{self.prefix}".rstrip("/")
        self._client = client
        self._name = name
        endpoint = urlsplit(client.meta.endpoint_url)
        port = f":{endpoint.port}" if endpoint.port else ""
        self.where = f"{self.url} at {endpoint.scheme}://{endpoint.hostname}{port}"

    def ask_once(self, operation: str, key: str, **parameters: object) -> Response:
        """Ask about one object.

        Args:
            operation: Name of the client's method.
            key: Below the prefix.
            parameters: Of the method, beyond bucket and key.

        Raises:
            StoreProblem: What the error means.
        """
        return self._call(operation, key, Key=self.prefix + check_key(key), **parameters)

    def ask(self, operation: str, key: str, **parameters: object) -> Response:
        """Ask about one object, again and again where that may help.

        Raises:
            StoreProblem: The last error.
        """
        return self.retrying.call(lambda: self.ask_once(operation, key, **parameters))

    def ask_bucket(self, operation: str, **parameters: object) -> Response:
        """Ask about the bucket, again and again where that may help.

        Raises:
            StoreProblem: The last error.
        """
        return self.retrying.call(lambda: self._call(operation, "the bucket", **parameters))

    def read(self, key: str) -> bytes:
        """Return an object's bytes; a body that is cut is asked for again.

        Raises:
            ObjectMissing: There is no such object.
            StoreProblem: It cannot be read.
        """
        return self.retrying.call(lambda: self._read_once(key))

    def _read_once(self, key: str) -> bytes:
        body = self.ask_once("get_object", key)["Body"]
        try:
            with body:
                content: bytes = body.read()
        except _CLIENT_ERRORS as error:
            raise store_problem(error, key, self.where) from error
        return content

    def _call(self, operation: str, subject: str, **parameters: object) -> Response:
        try:
            response: Response = getattr(self._client, operation)(Bucket=self._name, **parameters)
        except _CLIENT_ERRORS as error:
            raise store_problem(error, subject, self.where) from error
        return response

"""Show how far a step is as a progress artifact, without ever slowing or failing the work."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread
from uuid import UUID

import httpx
from prefect import get_client
from prefect.artifacts import create_progress_artifact
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import ArtifactUpdate

from flows.artifacts import artifact_key
from shared.units import format_bytes

INTERVAL_SECONDS = 1.0
# Steps that count bytes; of the others the share says enough.
_BYTE_STEPS = frozenset({"dump", "store", "fetch", "unseal", "verify", "read"})

logger = logging.getLogger(__name__)


class Progress:
    """The newest word of an operation about itself; `note` is what operations call, from any thread."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._lock = Lock()
        self._newest: tuple[str, int, int | None] = ("start", 0, None)

    def note(self, step: str, done: int, total: int | None, /) -> None:
        """Keep the newest word; a new step is also logged. The network is another thread's business."""
        with self._lock:
            is_new = step != self._newest[0]
            self._newest = (step, done, total)
        if is_new:
            logger.info("%s: %s", self._subject, step)

    def percent(self) -> float:
        """How much of the present step is done, 0 where its size is not known."""
        _step, done, total = self._newest
        return min(100.0, 100.0 * done / total) if total else 0.0

    def description(self) -> str:
        """Say in words where the operation is."""
        step, done, total = self._newest
        if not done or step not in _BYTE_STEPS:
            return f"{self._subject}: {step}"
        return f"{self._subject}: {step} {format_bytes(done)}" + (f" of {format_bytes(total)}" if total else "")


@contextmanager
def progress_artifact(kind: str, subject: str) -> Iterator[Progress]:
    """Keep a progress artifact of the present task up to date, once a second at most.

    Args:
        kind: What is done, such as `backup`.
        subject: What it is done to, such as a source's name.
    """
    progress = Progress(subject)
    try:
        artifact_id = create_progress_artifact(0.0, key=artifact_key(kind, subject, "progress"), description=subject)
    except httpx.HTTPError as error:
        logger.warning("progress cannot be shown (%s)", type(error).__name__)
        yield progress
        return
    ended = Event()
    thread = Thread(target=_publish, args=(artifact_id, progress, ended), name=f"progress-{subject}", daemon=True)
    thread.start()
    try:
        yield progress
    except BaseException:
        ended.set()
        raise
    progress.note("done", 1, 1)
    ended.set()
    thread.join(timeout=5)


def _publish(artifact_id: UUID, progress: Progress, ended: Event) -> None:
    shown = ""
    with get_client(sync_client=True) as client:
        while not ended.wait(INTERVAL_SECONDS):
            if progress.description() != shown:
                shown = progress.description()
                _update(client, artifact_id, progress)
        _update(client, artifact_id, progress)


def _update(client: SyncPrefectClient, artifact_id: UUID, progress: Progress) -> None:
    try:
        client.update_artifact(artifact_id, ArtifactUpdate(data=progress.percent(), description=progress.description()))
    except httpx.HTTPError:
        # The next second brings a newer one; progress is never worth an error.
        logger.debug("a progress update was lost", exc_info=True)

"""How a restore ended: a server that went away tells nothing about the backup."""

from collections.abc import Sequence

from shared.errors import ProgramFailed
from shared.postgres.restore_messages import RestoreMessage, Verdict


def raise_if_cut(messages: Sequence[RestoreMessage]) -> None:
    """Tell a server or a disk that gave up from a backup that does not restore; the latter has messages of its own.

    Raises:
        ProgramFailed: The restore ended early for a reason that says nothing about the backup.
    """
    verdicts = {message.verdict for message in messages}
    if Verdict.FATAL in verdicts and Verdict.UNKNOWN not in verdicts:
        text = next(message.text for message in messages if message.verdict is Verdict.FATAL)
        raise ProgramFailed(
            f"the restore to the scratch server was cut: {text}", hint="Look at the machine, then run it again."
        )

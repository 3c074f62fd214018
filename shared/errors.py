"""Every error Goldcopy raises: what happened, to which object, and what to do next.

GoldcopyError                      exit 3
├─ UsageProblem              10    exit 2   command line or a name that does not exist
│  ├─ ConfigInvalid          11             the configuration file cannot be used
│  └─ BackupUnknown          12             no such backup, or the shortened id fits several
├─ SourceProblem             20
│  ├─ SourceUnreachable      21    retry    network, host name, server down
│  ├─ SourceRefused          22             password, permission, missing database
│  ├─ PreflightRefused       23             the dump would be partial or cannot work
│  └─ SourceChanged          24    retry    a table vanished or changed while the dump started
├─ ProgramProblem            30
│  ├─ ProgramMissing         31             no client tool or server of the needed major
│  ├─ ProgramFailed          32             pg_dump, pg_restore, psql, initdb ended badly
│  └─ ProgramStalled         33    retry    no progress for the configured time
├─ StoreProblem              40
│  ├─ StoreUnreachable       41    retry    network, time-out, throttling, 5xx
│  ├─ StoreRefused           42             bucket missing, no permission
│  ├─ ObjectMissing          43             a stored object that must be there is not
│  ├─ ObjectExists           44             write-once: the key is taken
│  └─ SpaceExhausted         45             disk full, in scratch or in the repository
├─ IntegrityProblem          50    exit 1
│  ├─ DigestMismatch         51             stored bytes differ from the recorded digest
│  ├─ ManifestInvalid        52             a manifest that cannot be trusted or read
│  └─ DecryptionFailed       53             wrong identity, or damage inside the sealed bytes
├─ CatalogProblem            60    retry    the metadata store cannot be read or written
│  └─ CatalogRefused         61             password, permission, read-only, disk full, newer than this Goldcopy
├─ RunConflict               65             another run holds the source
├─ RestoreRefused            70             the destination is not empty, or is the source
├─ RetentionRefused          71             a hold, or the last proven backup
├─ NotAllowed                75             whoever asks lacks the role
└─ Interrupted               90    exit 130
"""


class GoldcopyError(Exception):
    """Base of all errors that a user may see.

    Attributes:
        message: What happened and to which object; lower case, no full stop, never a secret.
        hint: One sentence with the next action.
        code: Stable number, listed in docs/errors.md.
        exit_code: What the command line ends with.
        retryable: Whether the same call may succeed later without a person.
    """

    code = 1
    exit_code = 3
    retryable = False

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.hint))


def _rebuild(kind: type[GoldcopyError], message: str, hint: str) -> GoldcopyError:
    """Unpickle an error: keyword-only arguments need a function of their own."""
    return kind(message, hint=hint)


class UsageProblem(GoldcopyError):
    """The command line asks for something that cannot be."""

    code = 10
    exit_code = 2


class ConfigInvalid(UsageProblem):
    """The configuration file cannot be used; the message lists every problem at once."""

    code = 11


class BackupUnknown(UsageProblem):
    """No such backup, or a shortened id fits several."""

    code = 12


class SourceProblem(GoldcopyError):
    """The source cannot be backed up as it is."""

    code = 20


class SourceUnreachable(SourceProblem):
    """Network, host name, or a server that is down."""

    code = 21
    retryable = True


class SourceRefused(SourceProblem):
    """The server said no: password, permission, missing database."""

    code = 22


class PreflightRefused(SourceProblem):
    """The dump would be silently partial, or cannot work."""

    code = 23


class SourceChanged(SourceProblem):
    """A table was dropped or altered while the dump was starting."""

    code = 24
    retryable = True


class SourceLocked(SourceChanged):
    """Another session wants a table for itself (TRUNCATE, ALTER TABLE), and parallel jobs of pg_dump cannot read it."""

    code = 25


class ProgramProblem(GoldcopyError):
    """A child program could not do its work."""

    code = 30


class ProgramMissing(ProgramProblem):
    """No client tool or server of the needed major version."""

    code = 31


class ProgramFailed(ProgramProblem):
    """A child program ended badly."""

    code = 32


class ProgramStalled(ProgramProblem):
    """A child program made no progress for the configured time and was ended."""

    code = 33
    retryable = True


class StoreProblem(GoldcopyError):
    """The repository's store could not do what was asked."""

    code = 40


class StoreUnreachable(StoreProblem):
    """Network, time-out, throttling, or an error of the store's own."""

    code = 41
    retryable = True


class StoreRefused(StoreProblem):
    """Bucket missing, or no permission."""

    code = 42


class ObjectMissing(StoreProblem):
    """An object that must be there is not; a reader decides what that means."""

    code = 43


class ObjectExists(StoreProblem):
    """The key is taken and objects are write-once."""

    code = 44


class SpaceExhausted(StoreProblem):
    """A disk is full, or would be."""

    code = 45


class IntegrityProblem(GoldcopyError):
    """Stored bytes are not what was stored. Never retried, always reported."""

    code = 50
    exit_code = 1


class DigestMismatch(IntegrityProblem):
    """Stored bytes differ from the recorded digest or size."""

    code = 51


class ManifestInvalid(IntegrityProblem):
    """A manifest, or the repository's own description, cannot be trusted or read."""

    code = 52


class DecryptionFailed(IntegrityProblem):
    """The identity does not fit, or the sealed bytes are damaged."""

    code = 53


class CatalogProblem(GoldcopyError):
    """The metadata store cannot be read or written."""

    code = 60
    retryable = True


class CatalogRefused(CatalogProblem):
    """The metadata store said no, and will say so again: password, permission, disk full, a newer schema."""

    code = 61
    retryable = False


class RunConflict(GoldcopyError):
    """Another run holds the source."""

    code = 65


class RestoreRefused(GoldcopyError):
    """The destination is not empty, or is the source itself."""

    code = 70


class RetentionRefused(GoldcopyError):
    """A hold or an invariant forbids what was asked."""

    code = 71


class NotAllowed(GoldcopyError):
    """Whoever asks is not signed in, not known, or lacks the role."""

    code = 75


class Interrupted(GoldcopyError):
    """A person or the system ended the run."""

    code = 90
    exit_code = 130

"""Objects as plain files below one folder: written beside, flushed to disk, then linked into place."""

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from shared.errors import ObjectExists, ObjectMissing, SpaceExhausted, StoreProblem, StoreRefused, StoreUnreachable
from shared.repository.layout import check_key, check_prefix
from shared.repository.store import StoredObject

_UNFINISHED = ".unfinished"
_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
_PLACING_ATTEMPTS = 20  # a folder may be removed by a parallel delete between making and using it

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_NO_FILE = frozenset({errno.ELOOP, errno.ENXIO, errno.EOPNOTSUPP})  # a link, a socket
_REFUSED = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EEXIST}
)


class LocalStore:
    """An object store in a folder of this machine.

    Unfinished writes live in the hidden folder `.unfinished`, on the same file system, so that placing one is a single
    atomic step: a hard link for write-once (it fails where the name exists), a rename for a replacement.
    """

    def __init__(self, root: Path) -> None:
        """Use a folder; it is made at the first write.

        Args:
            root: The folder; absolute, or relative to the current folder of the moment.
        """
        self._root = root.resolve()

    @property
    def url(self) -> str:
        """Where it is, for people."""
        return f"file://{self._root}"

    def put(self, key: str, data: bytes, *, replace: bool = False) -> StoredObject:
        """Make `data` durable under `key`: file, name and folders are flushed to disk before this returns.

        Raises:
            ObjectExists: The key is taken and `replace` is false.
            SpaceExhausted: The disk is full.
            StoreRefused: No permission, or the key is not allowed.
            StoreUnreachable: The disk fails otherwise.
        """
        target = self._path(key)
        with self._problems_named(key):
            unfinished, modified_at = self._write_unfinished(data)
            try:
                self._place(unfinished, target, replace=replace)
            except FileExistsError:
                raise ObjectExists(
                    f"{key} exists already in {self.url}", hint="Objects are written once; nothing was changed."
                ) from None
            finally:
                unfinished.unlink(missing_ok=True)
        digest = hashlib.sha256(data).hexdigest()
        return StoredObject(key=key, stored_bytes=len(data), modified_at=modified_at, sha256=digest)

    def get(self, key: str) -> bytes:
        """Return the object's bytes.

        Raises:
            ObjectMissing: There is no such object, or something else than a regular file is in its place.
            StoreRefused: No permission.
            StoreUnreachable: The disk fails.
        """
        path = self._path(key)
        with self._problems_named(key):
            try:
                with _open_file(path) as file:
                    return file.read()
            except _NoFile:
                raise ObjectMissing(
                    f"{key} is not a regular file in {self.url}",
                    hint="Look who put something else in its place, and take the file from another copy.",
                ) from None
            except (FileNotFoundError, NotADirectoryError):
                raise ObjectMissing(
                    f"{key} is missing in {self.url}",
                    hint="Look for it in another copy of the repository; `goldcopy audit` lists what else is missing.",
                ) from None

    def stat(self, key: str) -> StoredObject | None:
        """Ask for one object by its key, or None where there is none."""
        path = self._path(key)
        with self._problems_named(key):
            try:
                facts = path.lstat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return _stored(key, facts) if stat.S_ISREG(facts.st_mode) else None

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose key begins with `prefix`; those of one folder in the order of their names' bytes."""
        check_prefix(prefix)
        folder, _, _ = prefix.rpartition("/")
        yield from self._walk(self._root / folder, f"{folder}/" if folder else "", prefix)

    def folders(self, prefix: str) -> tuple[str, ...]:
        """Return the names of the folders directly below `prefix`, which ends with a slash or is empty."""
        check_prefix(prefix)
        with self._problems_named(prefix or "the folder"):
            entries = _entries(self._root / prefix)
        return tuple(name[:-1] for name, _ in entries if name.endswith("/"))

    def delete(self, key: str) -> None:
        """Remove an object, durably, and the folders that this leaves empty; one that is gone already is no error."""
        path = self._path(key)
        with self._problems_named(key):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return
            with suppress(FileNotFoundError):
                _flush_folder(path.parent)
            folder = path.parent
            while folder != self._root:
                try:
                    folder.rmdir()
                except OSError:
                    return
                folder = folder.parent

    def discard_unfinished(self, *, before: datetime) -> int:
        """Remove files of cut writes that were begun before an instant; return how many."""
        removed = 0
        with self._problems_named(_UNFINISHED):
            try:
                paths = sorted((self._root / _UNFINISHED).iterdir())
            except FileNotFoundError:
                return 0
            for path in paths:
                with suppress(FileNotFoundError):
                    if path.lstat().st_mtime < before.timestamp():
                        path.unlink()
                        removed += 1
        return removed

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    def _write_unfinished(self, data: bytes) -> tuple[Path, datetime]:
        folder = self._root / _UNFINISHED
        self._make_folders(folder)
        path = folder / secrets.token_hex(16)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                rest = memoryview(data)
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
                modified_at = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return path, modified_at

    def _place(self, unfinished: Path, target: Path, *, replace: bool) -> None:
        for attempt in range(_PLACING_ATTEMPTS):
            self._make_folders(target.parent)
            try:
                if replace:
                    unfinished.replace(target)
                else:
                    self._place_once(unfinished, target)
                _flush_folder(target.parent)
            except FileNotFoundError:
                if attempt == _PLACING_ATTEMPTS - 1:
                    raise
            else:
                return

    def _place_once(self, unfinished: Path, target: Path) -> None:
        try:
            target.hardlink_to(unfinished)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        else:
            return
        # A file system without hard links (exFAT, some network mounts): a claim file decides the race instead. A crash
        # leaves the claim, which only blocks this one name until discard_unfinished removes it.
        claim = self._root / _UNFINISHED / f"claim-{hashlib.sha256(os.fsencode(target)).hexdigest()}"
        os.close(os.open(claim, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE))
        try:
            if target.exists():
                raise FileExistsError(errno.EEXIST, "exists", str(target))
            unfinished.rename(target)
        finally:
            claim.unlink(missing_ok=True)

    def _make_folders(self, folder: Path) -> None:
        """Make a folder and those above it, each durable in its parent."""
        try:
            folder.mkdir(_FOLDER_MODE)
        except FileExistsError:
            return
        except FileNotFoundError:
            self._make_folders(folder.parent)
            with suppress(FileExistsError):
                folder.mkdir(_FOLDER_MODE)
        _flush_folder(folder.parent)

    def _walk(self, folder: Path, folder_key: str, prefix: str) -> Iterator[StoredObject]:
        with self._problems_named(folder_key or "the folder"):
            entries = _entries(folder)
        for name, entry in entries:
            key = folder_key + name
            if not (key.startswith(prefix) or prefix.startswith(key)):
                continue
            if name.endswith("/"):
                yield from self._walk(Path(entry.path), key, prefix)
            elif key.startswith(prefix):
                with self._problems_named(key), suppress(FileNotFoundError):
                    yield _stored(key, entry.stat(follow_symlinks=False))

    @contextmanager
    def _problems_named(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._problem(error, key) from error

    def _problem(self, error: OSError, key: str) -> StoreProblem:
        reason = os.strerror(error.errno).lower() if error.errno else "unknown reason"
        message = f"{key} cannot be used in {self.url}: {reason}"
        if error.errno in _NO_SPACE:
            return SpaceExhausted(message, hint="Free or add space there, or run `goldcopy cleanup`.")
        if error.errno in _REFUSED:
            return StoreRefused(message, hint="Give this user the right to read and write the repository's folder.")
        return StoreUnreachable(message, hint="Check the disk or the network mount, then run it again.")


class _NoFile(Exception):
    """Something that is no regular file has the name."""


def _open_file(path: Path) -> BinaryIO:
    """Open a regular file; a FIFO, which would wait for a writer, and all else is refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise _NoFile from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _NoFile
    return os.fdopen(descriptor, "rb")


def _stored(key: str, facts: os.stat_result) -> StoredObject:
    modified_at = datetime.fromtimestamp(facts.st_mtime, UTC)
    return StoredObject(key=key, stored_bytes=facts.st_size, modified_at=modified_at)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot flush a folder
            raise
    finally:
        os.close(descriptor)


def _entries(folder: Path) -> list[tuple[str, os.DirEntry[str]]]:
    """Return files and folders, folders with a slash: so the order by bytes equals the order of the keys."""
    found: list[tuple[str, os.DirEntry[str]]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    found.append((f"{entry.name}/", entry))
                elif entry.is_file(follow_symlinks=False):
                    found.append((entry.name, entry))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(found, key=lambda item: os.fsencode(item[0]))

"""The place where a repository is, or could be."""

from shared.errors import ManifestInvalid, ObjectMissing, StoreRefused
from shared.repository.layout import DESCRIPTION_KEY, RECOVERY_SCRIPT_KEY, RECOVERY_TEXT_KEY, SOURCES_PREFIX
from shared.repository.store import ObjectStore


def read_description(store: ObjectStore) -> bytes:
    """Return the bytes of `goldcopy.json`.

    Raises:
        StoreRefused: There is no repository.
        ManifestInvalid: There are backups, and the description is gone.
    """
    try:
        return store.get(DESCRIPTION_KEY)
    except ObjectMissing:
        if store.folders(SOURCES_PREFIX):
            raise ManifestInvalid(
                f"{DESCRIPTION_KEY} is missing at {store.url}, where there are backups",
                hint="Put it back from another copy of the repository; the backups are still there.",
            ) from None
        raise StoreRefused(
            f"there is no repository at {store.url}",
            hint="Is the disk mounted, and repository.url right? Make no new one in place of one that is missing; "
            "where none ever was, the first `goldcopy backup` makes it.",
        ) from None


def refuse_used_place(store: ObjectStore) -> None:
    """Refuse to make a repository where there is something already.

    Raises:
        StoreRefused: There is.
    """
    for stored in store.list(""):
        if stored.key == DESCRIPTION_KEY:
            raise StoreRefused(f"{store.url} is a repository already", hint="Use it, or choose another place.")
        # recovery files alone are what an interrupted creation leaves
        if stored.key not in (RECOVERY_SCRIPT_KEY, RECOVERY_TEXT_KEY):
            raise StoreRefused(
                f"{store.url} is not empty: it holds {stored.key[:100]}", hint="Choose an empty folder or prefix."
            )

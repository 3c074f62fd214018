"""What may be taken away: a backup's description and the means to restore it, never data; compliance reports."""

import io
import zipfile
from collections.abc import Callable
from datetime import datetime

from monitor_app import auth, data, site
from shared.domain.backup import parse_backup_id
from shared.domain.person import Role


def manifest(backup_id: str) -> Callable[[], bytes]:
    """Return a reader of a backup's manifest as it is stored; it runs when the viewer asks for the file.

    Raises:
        NotAllowed: Whoever looks at the page may not have it.
    """
    # Asked now: the reader runs later, where Streamlit knows no user; its address is known to this session only.
    auth.require(Role.VIEWER)
    return lambda: _stored(backup_id)["manifest.json"]


def recovery_kit(backup_id: str) -> Callable[[], bytes]:
    """Return a maker of the archive that `recover.sh` needs beside a copy of the repository; same facts, same bytes.

    Raises:
        NotAllowed: Whoever looks at the page may not have it.
    """
    auth.require(Role.VIEWER)

    def make() -> bytes:
        from shared.repository.recovery import packaged_recovery_files

        return archive(_stored(backup_id) | packaged_recovery_files(), parse_backup_id(backup_id).at)

    return make


def report_file(period: str, source: str, name: str) -> Callable[[], bytes]:
    """Return a reader of one file of a compliance report.

    Raises:
        NotAllowed: Whoever looks at the page may not have it.
    """
    auth.require(Role.VIEWER)
    return lambda: next(file.data for file in data.report(period, source).files if file.name == name)


def report_archive(period: str, source: str) -> Callable[[], bytes]:
    """Return a maker of the archive of all files of a compliance report, digests included.

    Raises:
        NotAllowed: Whoever looks at the page may not have it.
    """
    auth.require(Role.VIEWER)

    def make() -> bytes:
        from shared.reports.printing import zipped

        made = data.report(period, source)
        return zipped(made.files, made.name)

    return make


def archive(files: dict[str, bytes], at: datetime) -> bytes:
    """Pack files into a ZIP archive that depends on nothing but its arguments."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date_time=at.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if name.endswith(".sh") else 0o644) << 16
            packed.writestr(entry, files[name])
    return buffer.getvalue()


def _stored(backup_id: str) -> dict[str, bytes]:
    # Imported when somebody asks: pages read the catalog only, and start faster without what the repository needs.
    from shared.repository.layout import files_key
    from shared.wiring.parts import Parts

    source = parse_backup_id(backup_id).source
    parts = Parts(site.current().config)
    repository = parts.repository()
    return {
        "manifest.json": repository.read_manifest_bytes(source, backup_id),
        "files.tsv": parts.store.get(files_key(source, backup_id)),
    }

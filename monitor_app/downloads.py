"""What may be taken away: a backup's description and the means to restore it, never data; compliance reports."""

import io
import zipfile
from collections.abc import Callable
from datetime import datetime

import streamlit as st

from monitor_app import auth, data, site
from shared.domain.backup import parse_backup_id
from shared.domain.person import Role

MakeBytes = Callable[[], bytes]


def button(
    label: str,
    make: MakeBytes,
    file_name: str,
    mime: str,
    *,
    icon: str = ":material/download:",
    note: str | None = None,
) -> None:
    """Offer a file, made when it is asked for; every download of the app is one of these.

    Args:
        label: On the button.
        make: Makes the file's bytes.
        file_name: As which it is saved.
        mime: Its type.
        icon: Beside the label.
        note: Shown when the pointer rests on it.
    """
    st.download_button(
        label,
        for_viewers(make),
        file_name,
        mime,
        icon=icon,
        help=note,
        on_click="ignore",
        key=f"download-{file_name}",
    )


def for_viewers(make: MakeBytes) -> MakeBytes:
    """Return a maker of the same file that first asks who may have it: the page may have been open for days.

    Raises:
        NotAllowed: Whoever looks at the page may not have it even now; the maker raises it when they may not any more.
    """
    ask = auth.later(Role.VIEWER)

    def asked() -> bytes:
        ask()
        return make()

    return asked


def manifest(backup_id: str) -> MakeBytes:
    """Return a reader of a backup's manifest as it is stored."""
    return lambda: _stored(backup_id)["manifest.json"]


def recovery_kit(backup_id: str) -> MakeBytes:
    """Return a maker of the archive that `recover.sh` needs beside a copy of the repository; same facts, same bytes."""

    def make() -> bytes:
        from shared.repository.recovery import packaged_recovery_files

        return archive(_stored(backup_id) | packaged_recovery_files(), parse_backup_id(backup_id).at)

    return make


def report_file(period: str, source: str, name: str) -> MakeBytes:
    """Return a reader of one file of a compliance report."""
    return lambda: next(file.data for file in data.report(period, source).files if file.name == name)


def report_archive(period: str, source: str) -> MakeBytes:
    """Return a maker of the archive of all files of a compliance report, digests included."""

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

"""Read `toc.dat`, the table of contents of a directory-format dump.

pg_dump writes it before any row, so that every data file can be named while it still grows, and names it exactly:
`pg_restore --list` replaces newlines and cannot tell hostile names apart. Layout from PostgreSQL's
src/bin/pg_dump/pg_backup_archiver.c (ReadHead, ReadToc), archive versions 1.14 (servers 13) to 1.16 (17 and newer).
"""

from dataclasses import dataclass, replace
from pathlib import Path

from shared.errors import IntegrityProblem
from shared.postgres.encodings import codec_of_dump, decode_again

_OLDEST, _NEWEST = (1, 12), (1, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class TocEntry:
    """One object of the dump.

    Attributes:
        dump_id: Number inside this dump; changes from dump to dump.
        table_oid: OID of the system catalog the object lives in, 0 for data entries.
        oid: OID of the object; for TABLE DATA that of the table in pg_class.
        tag: Name as pg_dump tags it.
        description: What it is, such as `TABLE DATA`.
        schema: Schema, or empty.
        owner: Owning role, or empty.
        definition: SQL that makes it, or empty.
        copy_statement: `COPY ... FROM stdin;` of a TABLE DATA entry, or empty.
        dependencies: Dump ids it needs.
        filename: File in the dump directory, or empty.
    """

    dump_id: int
    table_oid: int
    oid: int
    tag: str
    description: str
    schema: str
    owner: str
    definition: str
    copy_statement: str
    dependencies: tuple[int, ...]
    filename: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Toc:
    """The whole table of contents."""

    archive_version: str
    database: str
    server_version: str
    client_version: str
    entries: tuple[TocEntry, ...]

    def data_files(self) -> dict[str, TocEntry]:
        """Return the entry of each table's data file, by file name."""
        return {entry.filename: entry for entry in self.entries if entry.description == "TABLE DATA" and entry.filename}

    def large_object_lists(self) -> tuple[str, ...]:
        """Return the names of the files that list the large objects."""
        return tuple(entry.filename for entry in self.entries if entry.description == "BLOBS" and entry.filename)


def read_toc(path: Path) -> Toc:
    """Read a table of contents.

    Raises:
        IntegrityProblem: The file is cut, damaged, or of an archive version that is not known here.
    """
    try:
        return _read_toc(_Cursor(path.read_bytes()))
    except (IndexError, ValueError) as error:
        raise IntegrityProblem(
            f"{path.name} is not a readable table of contents of a dump: {error}",
            hint="Make the backup again; if it repeats, the client tools are newer than this version knows.",
        ) from error


def _read_toc(cursor: "_Cursor") -> Toc:
    if cursor.take(5) != b"PGDMP":
        raise ValueError("it does not begin with PGDMP")
    major, minor, _revision = cursor.byte(), cursor.byte(), cursor.byte()
    version = (major, minor)
    if not _OLDEST <= version <= _NEWEST:
        raise ValueError(f"archive version {major}.{minor} is not known")
    cursor.int_size, _offset_size, _format = cursor.byte(), cursor.byte(), cursor.byte()
    if version >= (1, 15):
        cursor.byte()
    else:
        cursor.integer()
    for _field_of_time in range(7):
        cursor.integer()
    database, server_version, client_version = cursor.text(), cursor.text(), cursor.text()
    count = cursor.integer()
    entries = tuple(_read_entry(cursor, version) for _ in range(count))
    if codec := codec_of_dump(entry.definition for entry in entries if entry.description == "ENCODING"):
        entries = tuple(_decoded(entry, codec) for entry in entries)
    return Toc(
        archive_version=f"{major}.{minor}",
        database=database,
        server_version=server_version,
        client_version=client_version,
        entries=entries,
    )


def _read_entry(cursor: "_Cursor", version: tuple[int, int]) -> TocEntry:
    dump_id, _had_dumper = cursor.integer(), cursor.integer()
    table_oid, oid = int(cursor.text() or 0), int(cursor.text() or 0)
    tag, description = cursor.text(), cursor.text()
    _section = cursor.integer()
    definition, _drop, copy_statement = cursor.text(), cursor.text(), cursor.text()
    schema, _tablespace = cursor.text(), cursor.text()
    if version >= (1, 14):
        cursor.text()  # table access method
    if version >= (1, 16):
        cursor.integer()  # relkind
    owner, _with_oids = cursor.text(), cursor.text()
    return TocEntry(
        dump_id=dump_id,
        table_oid=table_oid,
        oid=oid,
        tag=tag,
        description=description,
        schema=schema,
        owner=owner,
        definition=definition,
        copy_statement=copy_statement,
        dependencies=_read_dependencies(cursor),
        filename=cursor.text(),
    )


def _decoded(entry: TocEntry, codec: str) -> TocEntry:
    """Read an entry's text in the encoding of the database that was dumped."""
    return replace(
        entry,
        tag=decode_again(entry.tag, codec),
        schema=decode_again(entry.schema, codec),
        owner=decode_again(entry.owner, codec),
        definition=decode_again(entry.definition, codec),
        copy_statement=decode_again(entry.copy_statement, codec),
    )


def _read_dependencies(cursor: "_Cursor") -> tuple[int, ...]:
    found: list[int] = []
    while (number := cursor.optional_text()) is not None:
        found.append(int(number))
    return tuple(found)


class _Cursor:
    """A place in the file's bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self.int_size = 4

    def take(self, count: int) -> bytes:
        end = self._at + count
        if count < 0 or end > len(self._data):
            raise ValueError("it ends too early")
        taken, self._at = self._data[self._at : end], end
        return taken

    def byte(self) -> int:
        return self.take(1)[0]

    def integer(self) -> int:
        sign = self.byte()
        value = int.from_bytes(self.take(self.int_size), "little")
        return -value if sign else value

    def optional_text(self) -> str | None:
        length = self.integer()
        return None if length < 0 else self.take(length).decode("utf-8", "surrogateescape")

    def text(self) -> str:
        return self.optional_text() or ""

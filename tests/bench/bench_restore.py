"""A restore test beside a bare pg_restore of the same dump, and what one table out of many reads."""

import subprocess
from pathlib import Path

from shared.clock import monotonic_seconds
from shared.domain.manifest import ObjectRecord
from shared.postgres.connection import DatabaseAddress
from shared.postgres.scratch import start_scratch
from shared.repository.repository import Repository
from shared.units import format_bytes
from tests.bench.scene import sample_site, toolset
from tests.support.site import Site, conninfo

ROUNDS = 2


def main() -> None:
    """Print the table."""
    with sample_site() as (site, server, address):
        dump = site.folder / "plain"
        _run(address, "pg_dump", "-Fd", "-Z0", "-j2", "-f", str(dump))
        site.goldcopy("backup", "shop")
        bare, ours = [], []
        for _ in range(ROUNDS):
            bare.append(_bare_restore(site.folder / "bare", dump, address))
            tested = site.goldcopy("restore-test", "shop", "--json", timeout_seconds=1200)
            assert tested.exit_code == 0, tested.stdout + tested.stderr
            ours.append(tested.document)
        document = min(ours, key=lambda item: sum(item["phases"].values()))
        phases = document["phases"]
        after_fetch = sum(seconds for name, seconds in phases.items() if name not in ("fetch", "unseal"))
        print(f"database: {document['rows_proven']:,} rows in {document['tables_proven']} tables; best of {ROUNDS}\n")
        print(f"{'bare pg_restore -j2, same settings':<42} {min(bare):.2f} s")
        print(
            f"{'goldcopy restore-test, fetched to proven':<42} {after_fetch:.2f} s{'':<20} "
            f"{after_fetch / min(bare):.2f} x (target <= 1.4)"
        )
        print(f"{'  phases':<42} " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in phases.items()))
        _one_table(site, server.address)


def _one_table(site: Site, server: DatabaseAddress) -> None:
    """Restore one small table and count what is read."""
    read: list[int] = []
    original = Repository.read_object

    def counted(repository: Repository, record: ObjectRecord) -> bytes:
        read.append(record.stored_bytes)
        return original(repository, record)

    with server.connect() as connection:
        connection.execute("create database one_table")
    Repository.read_object = counted  # type: ignore[method-assign, assignment]
    try:
        with site.open() as workspace:
            backup = workspace.list_backups("shop")[0]
            url = site.folder / "one.txt"
            url.write_text(conninfo(server.with_database("one_table")))
            report = workspace.restore(
                backup["backup_id"], f"file:{url}", tables=["billing.payments"], into_non_empty=True
            )
    finally:
        Repository.read_object = original  # type: ignore[method-assign]
    whole = backup["stored_bytes"]
    what = f"one table out of many: {report.outcome.value}"
    print(f"{what:<42} read {format_bytes(sum(read))} of {format_bytes(whole)} in {len(read)} objects")


def _bare_restore(folder: Path, dump: Path, source: DatabaseAddress) -> float:
    with start_scratch(toolset(), folder) as server:
        with source.connect() as connection:
            roles = [row[0] for row in connection.execute("select rolname from pg_roles where rolname !~ '^pg_'")]
        with server.address.connect() as connection:
            connection.execute("create database bare template template0 encoding 'UTF8' locale 'C.UTF-8'")
            for role in roles:
                if role != server.address.user:
                    connection.execute(f'create role "{role}"'.encode())
        began = monotonic_seconds()
        _run(server.address.with_database("bare"), "pg_restore", "-j2", str(dump), may_complain=True)
        return monotonic_seconds() - began


def _run(address: DatabaseAddress, program: str, *arguments: str, may_complain: bool = False) -> None:
    with address.child_environment() as environment:
        command = [str(toolset().program(program)), "--dbname=service=goldcopy", *arguments]
        subprocess.run(command, env=environment, check=not may_complain, capture_output=True)


if __name__ == "__main__":
    main()

from pathlib import Path

import pytest

from shared.errors import ConfigInvalid, ProgramMissing
from shared.postgres.scratch_settings import configuration_text, server_settings
from shared.postgres.tools import Toolset, addable_majors, choose_client, choose_server
from shared.postgres.tools_install import pinned_version
from shared.postgres.tools_probe import describe_missing_libraries

GIB = 2**30


def toolset(major: int, *, server: bool = True, folder: Path = Path("/nowhere")) -> Toolset:
    return Toolset(major, f"{major}.3", folder / str(major) / "bin", server, "PATH")


def made_server(folder: Path, *, icu: bool, extensions: tuple[str, ...]) -> Toolset:
    """A folder that looks like a server to what inspects it."""
    (folder / "bin").mkdir(parents=True)
    (folder / "share/extension").mkdir(parents=True)
    (folder / "bin/postgres").write_bytes(b"\x7fELF" + (b"" if icu else b"ICU is not supported in this build"))
    for name in extensions:
        (folder / f"share/extension/{name}.control").write_text("default_version = '1.0'\n")
    return Toolset(17, "17.3", folder / "bin", has_server=True, origin=folder.name)


def test_client_tools_of_the_servers_own_major_come_first() -> None:
    assert choose_client([toolset(18), toolset(16), toolset(17)], 16).major == 16


def test_else_the_next_newer_client_is_taken_never_an_older_one() -> None:
    assert choose_client([toolset(18), toolset(15), toolset(17)], 16).major == 17
    with pytest.raises(ProgramMissing, match=r"Postgres 19.*found: 18\.3 \(PATH\)") as caught:
        choose_client([toolset(18)], 19)
    assert "goldcopy tools add 19" in caught.value.hint


def test_among_equals_the_order_of_discovery_decides() -> None:
    first, second = toolset(17, folder=Path("/first")), toolset(17, folder=Path("/second"))
    assert choose_client([first, second], 17) is first


def test_a_server_is_of_the_same_major_or_missing() -> None:
    with pytest.raises(ProgramMissing, match="no Postgres 16 server") as caught:
        choose_server([toolset(17), toolset(16, server=False)], 16, needs_icu=False, extensions=())
    assert "goldcopy tools add 16" in caught.value.hint


def test_icu_is_taken_only_where_the_server_has_it(tmp_path: Path) -> None:
    plain = made_server(tmp_path / "plain", icu=False, extensions=("pgcrypto",))
    with_icu = made_server(tmp_path / "icu", icu=True, extensions=())
    assert choose_server([plain, with_icu], 17, needs_icu=True, extensions=("pgcrypto",)) == (with_icu, ("pgcrypto",))
    with pytest.raises(ProgramMissing, match="ICU"):
        choose_server([plain], 17, needs_icu=True, extensions=())


def test_the_server_that_lacks_the_fewest_extensions_wins(tmp_path: Path) -> None:
    few = made_server(tmp_path / "few", icu=False, extensions=("pgcrypto",))
    many = made_server(tmp_path / "many", icu=False, extensions=("pgcrypto", "hstore"))
    wanted = ("hstore", "pgcrypto", "vector")
    assert choose_server([few, many], 17, needs_icu=False, extensions=wanted) == (many, ("vector",))
    assert choose_server([few, many], 17, needs_icu=False, extensions=("pgcrypto",)) == (few, ())


def test_missing_libraries_are_named_with_their_packages() -> None:
    text = describe_missing_libraries(["libzstd.so.1", "libossp-uuid.so.16", "libunheard.so.2"])
    assert text.endswith("apt-get install libzstd1 libossp-uuid16 libunheard.so.2")


def test_every_addable_major_is_pinned_to_its_own_version() -> None:
    assert addable_majors() == (14, 15, 16, 17, 18)
    for major in addable_majors():
        assert pinned_version(major).startswith(f"{major}.")


def test_other_majors_cannot_be_fetched() -> None:
    with pytest.raises(ConfigInvalid, match="Postgres 9 cannot") as caught:
        pinned_version(9)
    assert "14, 15, 16, 17, 18" in caught.value.hint


def test_scratch_memory_follows_the_machine_within_limits() -> None:
    sizes = [server_settings(memory, GIB)["shared_buffers"] for memory in (0, 2 * GIB, 1000 * GIB)]
    assert sizes == ["64MB", "256MB", "1024MB"]


def test_scarce_shared_memory_is_not_used() -> None:
    assert server_settings(GIB, 64 << 20)["dynamic_shared_memory_type"] == "mmap"
    assert server_settings(GIB, 2 * GIB)["dynamic_shared_memory_type"] == "posix"


def test_scratch_servers_never_listen_by_themselves() -> None:
    assert server_settings(GIB, GIB)["listen_addresses"] == ""


def test_values_are_quoted_in_the_configuration() -> None:
    assert configuration_text({"unix_socket_directories": "/a'b\\c"}) == "unix_socket_directories = '/a''b\\\\c'\n"

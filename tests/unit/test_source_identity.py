"""Another database under a source's name is said; another one on another server is refused."""

import pytest

from shared.domain.manifest import ServerFacts
from shared.domain.source_identity import Move, judge_move


def last(database: str, system_identifier: str = "") -> ServerFacts:
    return ServerFacts(
        server_version="17.4",
        server_version_num=170004,
        database=database,
        encoding="UTF8",
        collate="C",
        ctype="C",
        system_identifier=system_identifier,
    )


@pytest.mark.parametrize(
    ("present", "before", "words", "is_refused"),
    [
        (("shop", "71"), ("shop", "71"), "", False),
        (("shop", ""), ("shop", "71"), "", False),
        (("shop", "71"), ("shop", ""), "", False),
        (("shop", "72"), ("shop", "71"), "its url leads to another server: shop on system 72", False),
        (("shop_dev", "71"), ("shop", "71"), "its url leads to another database: shop_dev on system 71", False),
        (("shop_dev", ""), ("shop", "71"), "its url leads to another database: shop_dev on system unknown", False),
        (("shop_dev", "72"), ("shop", ""), "; the last backup b1 is of shop on system unknown", False),
        (("shop_dev", "72"), ("shop", "71"), "another database on another server: shop_dev on system 72", True),
    ],
)
def test_what_differs_is_named_and_only_both_together_are_refused(
    present: tuple[str, str], before: tuple[str, str], words: str, *, is_refused: bool
) -> None:
    move = judge_move(*present, last(*before), "b1")

    assert move.is_refused is is_refused
    assert words in move.warning
    assert bool(move.warning) == bool(words)


def test_the_first_backup_of_a_source_cannot_have_moved() -> None:
    assert judge_move("shop", "71", None, "") == Move()

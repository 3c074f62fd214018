"""What a foreign key refers to is read from its definition, whatever its names."""

import pytest

from shared.operations.late_keys import referenced_key


@pytest.mark.parametrize(
    ("definition", "key"),
    [
        (
            "ALTER TABLE ONLY shop.orders\n    ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES shop.customers(id);",
            ("shop.customers", ("id",)),
        ),
        (
            'ALTER TABLE b ADD CONSTRAINT c FOREIGN KEY ("x, y", z) REFERENCES "odd "".schema"."t (1)"("A ""b""", z);',
            ('"odd "".schema"."t (1)"', ('A "b"', "z")),
        ),
        ("ALTER TABLE a.b ADD CONSTRAINT c FOREIGN KEY (x, PERIOD p) REFERENCES a.d(x, PERIOD p);", None),
        ("ALTER TABLE a.b ADD CONSTRAINT c CHECK (x > 0);", None),
    ],
)
def test_what_a_foreign_key_refers_to(definition: str, key: tuple[str, tuple[str, ...]] | None) -> None:
    assert referenced_key(definition) == key

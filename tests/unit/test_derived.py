"""What a restore computed anew, judged against what the source held."""

import json
from dataclasses import replace

import pytest

from shared.domain.derived import (
    NOTHING_RECORDED,
    DerivedReading,
    generated_finding,
    is_same,
    is_same_together,
    not_compared,
    same_locale,
    view_finding,
)
from shared.domain.manifest import (
    DerivedKind,
    DerivedRecord,
    Manifest,
    ServerFacts,
    decode_manifest,
    encode_manifest,
)
from shared.domain.proof import Severity
from shared.domain.signed_document import encode_document
from tests.support.catalogs import make_manifest

KEY = b"k" * 32
RECORD = DerivedRecord(
    kind=DerivedKind.GENERATED_COLUMNS,
    schema="public",
    name="prices",
    generated=("gross", "Net"),
    columns=("Net", "gross", "id"),
    rows=3,
    plain_bytes=20,
    fingerprint="aa",
    row_sum=f"{5:032x}",
)
VIEW = replace(RECORD, kind=DerivedKind.MATERIALIZED_VIEW, name="totals", generated=())


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        (DerivedReading(rows=3, fingerprint="aa"), True),
        (DerivedReading(rows=3, fingerprint="bb"), False),
        (DerivedReading(rows=3, fingerprint="bb", row_sum=f"{5:032x}"), True),
        (DerivedReading(rows=3, fingerprint="bb", row_sum=f"{6:032x}"), False),
        (DerivedReading(rows=2, fingerprint="bb", row_sum=f"{5:032x}"), False),
    ],
)
def test_the_same_rows_are_equal_in_any_order(reading: DerivedReading, *, expected: bool) -> None:
    assert is_same(RECORD, reading) is expected


def test_without_a_row_sum_only_the_same_order_is_equal() -> None:
    assert not is_same(replace(RECORD, row_sum=""), DerivedReading(rows=3, fingerprint="bb", row_sum=""))


def part(rows: int, total: int) -> DerivedReading:
    return DerivedReading(rows=rows, fingerprint="bb", row_sum=f"{total % (1 << 128):032x}")


def test_partitions_are_equal_together_when_rows_only_moved() -> None:
    other = replace(RECORD, name="prices_1", rows=1, row_sum=f"{(1 << 128) - 1:032x}")
    assert is_same_together([(RECORD, part(1, 2)), (other, part(3, 2))])
    assert not is_same_together([(RECORD, part(1, 2)), (other, part(3, 3))])
    assert not is_same_together([(RECORD, part(1, 2)), (other, part(2, 2))])
    assert not is_same_together([(RECORD, part(1, 2)), (replace(other, columns=("id",)), part(3, 2))])
    assert not is_same_together([(RECORD, part(1, 2)), (replace(other, row_sum=""), part(3, 2))])


def test_generated_columns_that_differ_are_an_error_that_names_table_columns_and_rows() -> None:
    finding = generated_finding(RECORD, (4, 7))
    assert (finding.check, finding.severity, finding.object) == ("generated-columns", Severity.ERROR, "public.prices")
    assert 'columns gross, "Net", computed anew' in finding.message
    assert finding.message.endswith("the first difference is in one of the rows 4 to 7")
    assert finding.hint
    (one,) = [generated_finding(replace(RECORD, generated=("gross",)), (4, 4))]
    assert one.message.endswith("differs from what the source held; the first difference is in row 4")


def test_a_view_that_differs_is_told_apart_from_damage() -> None:
    finding = view_finding(replace(VIEW, rows=28), 41)
    assert (finding.severity, finding.object) == (Severity.INFO, "public.totals")
    assert finding.message.startswith("28 rows at the source, 41 after the restore: it was stale")
    assert "REFRESH MATERIALIZED VIEW public.totals" in finding.hint
    assert view_finding(replace(VIEW, rows=2), 2).message.startswith("other content in its 2 rows")


def test_what_was_not_compared_is_named_with_its_reason_and_nothing_else_is() -> None:
    unread = replace(VIEW, name="huge", unread="too large")
    computed = [
        (("public", "prices"), "public.prices.gross"),
        (("public", "totals"), "public.totals"),
        (("public", "huge"), "public.huge"),
        (("public", "old"), "public.old"),
        (("public", "told"), "public.told"),
    ]
    found = not_compared(computed, [RECORD, VIEW, unread], {("public", "totals"): "order", ("public", "told"): ""})
    assert {item.object: item.message.rpartition(": ")[2] for item in found} == {
        "public.totals": "order",
        "public.huge": "too large",
        "public.old": NOTHING_RECORDED,
    }
    assert {item.severity for item in found} == {Severity.INFO}


def test_many_that_were_not_compared_are_counted() -> None:
    (finding,) = not_compared([(("s", f"v{n}"), f"s.v{n}") for n in range(12)], [], {})
    assert finding.object.endswith("s.v9 and 2 more")


def test_a_locale_is_the_same_however_it_is_spelled() -> None:
    facts = ServerFacts(
        server_version="17.4",
        server_version_num=170004,
        database="app",
        encoding="UTF8",
        collate="en_US.UTF-8",
        ctype="en_US.UTF-8",
    )
    assert same_locale(facts, replace(facts, collate="en_US.utf8", ctype="en_US.utf8", database="other"))
    assert not same_locale(facts, replace(facts, ctype="C"))
    assert not same_locale(facts, replace(facts, locale_provider="icu"))


def test_a_manifest_keeps_what_was_derived() -> None:
    manifest = replace(make_manifest(), derived=(RECORD, replace(VIEW, unread="too large")))
    assert decode_manifest(encode_manifest(manifest, KEY), fingerprint_key=KEY) == manifest


def test_a_manifest_from_before_is_still_read() -> None:
    manifest: Manifest = make_manifest()
    document = json.loads(encode_manifest(manifest, KEY))
    for name in ("sha256", "mac", "derived"):
        del document[name]
    assert decode_manifest(encode_document(document, KEY), fingerprint_key=KEY) == manifest

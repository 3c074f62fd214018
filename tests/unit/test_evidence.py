"""Evidence: read back as it was written, refused when anything about it was changed, holds added up."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.evidence import (
    Evidence,
    HoldEvidence,
    RestoreTestEvidence,
    RestoreTestResult,
    decode_evidence,
    encode_evidence,
    evidence_name,
    settle_holds,
)
from shared.domain.proof import Finding, NotMeasured, Outcome, Severity
from shared.domain.signed_document import encode_document
from shared.errors import ManifestInvalid
from shared.repository.layout import KeyKind, evidence_key, parse_key

KEY = b"k" * 32
AT = datetime(2026, 11, 21, 6, 0, 0, 123456, tzinfo=UTC)
ID = "20261121T020000Z-app-7f3a"
TEST = RestoreTestEvidence(
    result=RestoreTestResult(
        id="20261121T060000Z-app-0a1b2c3d",
        backup_id=ID,
        source="app",
        picked="newest",
        outcome=Outcome.FAILED,
        started_at=AT - timedelta(minutes=3),
        finished_at=AT,
        findings=(Finding(check="table-content", severity=Severity.ERROR, object="public.\udce9", message="differs"),),
        not_measured=(NotMeasured(check="restore", object="extension x", reason="not there"),),
        phases={"fetch": 1.25, "prove": 0.5},
        recovery_time_seconds=61.5,
        tables_proven=2,
        rows_proven=13,
        source_version="17.4",
    ),
    manifest_sha256="ab" * 32,
)
HOLD = HoldEvidence(source="app", backup_id=ID, owner="Ada", reason="case 7", placed_at=AT)
RELEASE = replace(HOLD, released_at=AT + timedelta(days=1), released_by="Bob", release_reason="closed")


@pytest.mark.parametrize("evidence", [TEST, HOLD, RELEASE])
def test_evidence_is_read_back_as_it_was_written(evidence: Evidence) -> None:
    assert decode_evidence(encode_evidence(evidence, KEY), fingerprint_key=KEY) == evidence
    parsed = parse_key(evidence_key("app", ID, evidence_name(evidence)))
    assert (parsed.kind, parsed.backup_id, parsed.name) == (KeyKind.EVIDENCE, ID, evidence_name(evidence))


def test_names_sort_by_time_say_what_they_are_and_never_meet() -> None:
    names = [evidence_name(item) for item in (TEST, HOLD, replace(HOLD, owner="Bob"), RELEASE)]
    assert [name[:-17] for name in names] == [
        "20261121T060000Z-restore-test",
        "20261121T060000Z-hold",
        "20261121T060000Z-hold",
        "20261122T060000Z-release",
    ]
    assert len(set(names)) == 4


def test_any_changed_bit_is_seen() -> None:
    data = encode_evidence(HOLD, KEY)
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1
        with pytest.raises(ManifestInvalid):
            decode_evidence(bytes(changed), fingerprint_key=KEY)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: encode_evidence(HOLD, b"x" * 32), "the mac of the evidence"),
        (lambda: encode_evidence(HOLD, KEY)[:-1], "not in canonical form"),
        (lambda: encode_evidence(HOLD, KEY).replace(b'"format":1', b'"format":2'), "of format 2"),
        (lambda: _signed(evidence="hold", owner=None), "lacks or misuses a field"),
        (lambda: _signed(evidence="release"), "says that it is a release and is a hold"),
        (lambda: _signed(evidence="rumour"), "lacks or misuses a field"),
    ],
)
def test_what_goldcopy_did_not_write_is_refused(make: Callable[[], bytes], message: str) -> None:
    with pytest.raises(ManifestInvalid, match=message):
        decode_evidence(make(), fingerprint_key=KEY)


def test_a_hold_is_released_by_any_release_of_it_and_by_no_other() -> None:
    again = replace(HOLD, placed_at=AT + timedelta(days=2))
    bobs = replace(HOLD, owner="Bob")
    twice = replace(RELEASE, released_at=AT + timedelta(days=3))
    assert settle_holds([again, TEST, bobs, twice, HOLD, RELEASE]) == (RELEASE, bobs, again)


def _signed(**changes: object) -> bytes:
    document = json.loads(encode_evidence(HOLD, KEY)) | changes
    document = {name: value for name, value in document.items() if name not in {"sha256", "mac"} and value is not None}
    return encode_document({**document, "released_at": None}, KEY)

"""What a cleanup would do, decided from what it sees and nothing else."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from shared.domain.backup import BackupKind
from shared.domain.proof import Finding, Severity
from shared.domain.retention import RetainedBackup
from shared.domain.source import KeepRule, Source
from shared.operations.cleanup_plan import SourceView, plan_source
from shared.repository.layout import files_key, manifest_key, object_key
from shared.repository.store import StoredObject

NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
POLICY = Source(name="app", retention={BackupKind.DAILY: KeepRule(age=timedelta(days=7))})
ERROR = Finding(check="cleanup", severity=Severity.ERROR, object="x", message="cannot be read")


def backup_id(days_ago: int) -> str:
    return f"{NOW - timedelta(days=days_ago):%Y%m%dT%H%M%SZ}-app-{days_ago:04x}"


def key(letter: str) -> str:
    return object_key("app", letter * 64, "00000001")


def stored(name: str, *, hours_old: float = 100, size_bytes: int = 10) -> StoredObject:
    return StoredObject(key=name, stored_bytes=size_bytes, modified_at=NOW - timedelta(hours=hours_old))


def view(
    manifests: Mapping[int, str],
    *,
    extra: tuple[StoredObject, ...] = (),
    unfinished: Mapping[int, str] | None = None,
    holds: Mapping[int, str] | None = None,
    policy: Source | None = POLICY,
    findings: tuple[Finding, ...] = (),
    unknown: str = "",
) -> SourceView:
    """Backups by their age in days, each naming the objects whose letters are given; the store holds them all."""
    letters = {letter for names in (*manifests.values(), *(unfinished or {}).values()) for letter in names}
    items = [stored(key(letter)) for letter in sorted(letters)]
    for days_ago in manifests:
        items.append(stored(manifest_key("app", backup_id(days_ago)), size_bytes=3))
        items.append(stored(files_key("app", backup_id(days_ago)), size_bytes=2))
    return SourceView(
        source="app",
        policy=policy,
        stored={item.key: item for item in (*items, *extra)},
        manifests={backup_id(days): frozenset(map(key, names)) for days, names in manifests.items()},
        backups=tuple(
            RetainedBackup(
                id=backup_id(days),
                source="app",
                kind=BackupKind.DAILY,
                recovery_point_at=NOW - timedelta(days=days),
                unknown=unknown,
            )
            for days in manifests
        ),
        holds={backup_id(days): words for days, words in (holds or {}).items()},
        unfinished={backup_id(days): frozenset(map(key, names)) for days, names in (unfinished or {}).items()},
        findings=findings,
    )


def test_objects_go_with_the_last_backup_that_names_them_and_the_oldest_goes_first() -> None:
    plan = plan_source(view({1: "a", 10: "abc", 20: "cd", 30: "de"}), NOW)

    assert [(expiry.backup_id, expiry.keys) for expiry in plan.expiries] == [
        (backup_id(30), (key("e"),)),
        (backup_id(20), (key("d"),)),
        (backup_id(10), (key("b"), key("c"))),
    ]
    assert [expiry.freed_bytes for expiry in plan.expiries] == [15, 15, 25]


def test_what_a_kept_backup_names_stays() -> None:
    plan = plan_source(view({1: "a", 10: "ab", 20: "bc"}, holds={10: "audit"}), NOW)

    assert [(expiry.backup_id, expiry.keys) for expiry in plan.expiries] == [(backup_id(20), (key("c"),))]


def test_an_interrupted_expiry_is_finished_first_and_leaves_what_others_name() -> None:
    plan = plan_source(view({1: "a", 10: "bc"}, unfinished={30: "abd"}), NOW)

    assert [(expiry.backup_id, expiry.is_unfinished, expiry.keys) for expiry in plan.expiries] == [
        (backup_id(30), True, (key("d"),)),
        (backup_id(10), False, (key("b"), key("c"))),
    ]


def test_an_object_that_is_gone_already_is_named_but_frees_nothing() -> None:
    seen = view({1: "a"}, unfinished={30: "d"})
    without = {name: item for name, item in seen.stored.items() if name != key("d")}

    (expiry,) = plan_source(
        SourceView(
            source="app",
            policy=POLICY,
            stored=without,
            manifests=seen.manifests,
            backups=seen.backups,
            holds={},
            unfinished=seen.unfinished,
        ),
        NOW,
    ).expiries

    assert (expiry.keys, expiry.objects, expiry.freed_bytes) == ((key("d"),), (), 0)


def test_orphans_go_after_their_grace_and_never_before() -> None:
    old, young = stored(key("e"), hours_old=24), stored(key("f"), hours_old=23.9)
    lone_files = stored(files_key("app", backup_id(50)), hours_old=30)

    plan = plan_source(view({1: "a"}, extra=(old, young, lone_files)), NOW)

    assert set(plan.orphans) == {old, lone_files}


def test_what_is_not_of_the_format_stays_and_is_reported() -> None:
    strange = stored("sources/app/objects/readme.txt", hours_old=9999)

    plan = plan_source(view({1: "a"}, extra=(strange,)), NOW)

    assert plan.orphans == ()
    assert [(finding.severity, finding.object) for finding in plan.findings] == [(Severity.WARNING, strange.key)]


def test_a_manifest_that_cannot_be_trusted_stops_every_removal_of_its_source() -> None:
    plan = plan_source(view({1: "a", 10: "b"}, unfinished={30: "d"}, extra=(stored(key("e")),), findings=(ERROR,)), NOW)

    assert (plan.expiries, plan.orphans) == ((), ())
    assert ERROR in plan.findings


def test_a_source_that_is_not_configured_any_more_keeps_everything() -> None:
    plan = plan_source(view({1: "a", 10: "b", 900: "c"}, policy=None, extra=(stored(key("e")),)), NOW)

    assert (plan.expiries, plan.orphans) == ((), ())
    assert [finding.severity for finding in plan.findings] == [Severity.WARNING]
    assert "not in the configuration" in plan.findings[0].message


def test_a_backup_that_the_catalog_does_not_know_stays_and_is_reported() -> None:
    plan = plan_source(view({1: "a", 10: "b"}, unknown="the catalog does not know it"), NOW)

    assert plan.expiries == ()
    assert [finding.object for finding in plan.findings] == [backup_id(1), backup_id(10)]

"""Comparing roles: every difference is named, no value of a setting is shown, what could not be held is no pass."""

import pytest

from shared.domain.proof import Severity
from shared.domain.role_facts import EVERYBODY, AppliedRoles, compare_roles, fact_label

FACTS = {"superuser": "false", "login": "true", "connection limit": "none", "setting app.key": "s3cret"}


def test_equal_roles_give_nothing_and_login_is_not_compared() -> None:
    proof = compare_roles({"app": FACTS}, {"app": {**FACTS, "login": "false"}, "other": FACTS}, AppliedRoles())

    assert (proof.findings, proof.not_measured) == ([], [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"superuser": "true"}, "superuser is true instead of false"),
        ({"connection limit": "5"}, "connection limit is 5 instead of none"),
        ({"membership in staff": "with ADMIN true"}, "membership in staff is with ADMIN true instead of absent"),
        ({"setting app.key": "0ther"}, "setting app.key has another value"),
        ({"setting app.more": "0ther"}, "setting app.more is not one of the source's"),
    ],
)
def test_a_difference_names_role_and_fact_and_no_value_of_a_setting(change: dict[str, str], message: str) -> None:
    proof = compare_roles({"app": FACTS}, {"app": {**FACTS, **change}}, AppliedRoles())

    (finding,) = proof.findings
    assert (finding.check, finding.severity, finding.object) == ("role-differs", Severity.ERROR, "app")
    assert finding.message == message


def test_a_lost_setting_of_the_database_is_found() -> None:
    proof = compare_roles({EVERYBODY: {"setting search_path": "app"}}, {}, AppliedRoles())

    (finding,) = proof.findings
    assert (finding.object, finding.message) == ("the database, for all roles", "setting search_path is missing")


def test_what_a_scratch_server_refused_or_had_before_is_not_measured() -> None:
    refused = {fact_label("app", "superuser"): "must be superuser"}
    source = {"app": {"superuser": "true", "createdb": "true"}, "postgres": {"superuser": "false"}}
    restored = {"app": {"superuser": "false", "createdb": "false"}, "postgres": {"superuser": "true"}}

    proof = compare_roles(source, restored, AppliedRoles(existing=frozenset({"postgres"}), refused=refused))

    assert [(item.object, item.message) for item in proof.findings] == [("app", "createdb is false instead of true")]
    assert [(item.object, item.reason) for item in proof.not_measured] == [
        (
            "app",
            "superuser is false instead of true (the server refused it: must be superuser)",
        ),
        (
            "postgres",
            "superuser is true instead of false (the server had a role of that name before, and it was left as it is)",
        ),
    ]


def test_a_real_destination_keeps_its_own_roles_with_a_warning() -> None:
    applied = AppliedRoles(existing=frozenset({"app"}), is_scratch=False)

    proof = compare_roles({"app": {"createdb": "true"}}, {"app": {"createdb": "false"}}, applied)

    assert proof.not_measured == []
    assert [item.severity for item in proof.findings] == [Severity.WARNING]


def test_many_differing_roles_stay_readable() -> None:
    source = {f"role{number}": {"createdb": "true"} for number in range(50)}

    proof = compare_roles(source, {name: {"createdb": "false"} for name in source}, AppliedRoles())

    assert [item.object for item in proof.findings][-1] == "30 more"
    assert proof.findings[-1].severity is Severity.ERROR

"""How strictly backups are looked at: the installation's words, and a source's own."""

import pytest
from pydantic import ValidationError

from shared.config.anomalies_model import AnomaliesSection
from shared.domain.anomaly import AnomalyPolicy, Rule


def test_defaults_are_those_of_the_domain() -> None:
    assert AnomaliesSection().policy(AnomaliesSection()) == AnomalyPolicy()


def test_own_keys_win_and_what_is_ignored_adds_up() -> None:
    installation = AnomaliesSection(table_shrunk=0.3, deviations=5, ignore=["table-new"])
    own = AnomaliesSection(table_shrunk=0.6, ignore=["table-shrunk:public.*"])
    policy = own.policy(installation)
    assert (policy.table_shrunk, policy.deviations) == (0.6, 5)
    assert policy.ignores(Rule.TABLE_NEW, "public.a")
    assert policy.ignores(Rule.TABLE_SHRUNK, "public.a")
    assert not policy.ignores(Rule.TABLE_SHRUNK, "shop.a")


def test_rule_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ValidationError, match="'table-lost' is not a rule; there are dumped-size, stored-size"):
        AnomaliesSection(ignore=["table-lost:public.a"])
    AnomaliesSection(ignore=["table-*:public.a", "*"])


@pytest.mark.parametrize("values", [{"table_shrunk": 0}, {"table_shrunk": 1}, {"deviations": 1}, {"minimum_points": 2}])
def test_values_that_make_no_sense_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        AnomaliesSection.model_validate(values)

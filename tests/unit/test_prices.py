"""Prices in the configuration: exact decimals, never money without a currency."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from shared.config.prices_model import PricesSection
from shared.domain.cost import Prices


def test_prices_are_read_exactly_and_sizes_as_people_write_them() -> None:
    section = PricesSection.model_validate(
        {"currency": "EUR", "storage_per_gb_month": 0.006, "egress_per_gb": "0.01", "storage_limit": "2 TB"}
    )

    assert section.prices() == Prices(
        currency="EUR",
        storage_per_gb_month=Decimal("0.006"),
        egress_per_gb=Decimal("0.01"),
        storage_limit_bytes=2 * 10**12,
    )


def test_what_is_free_has_no_sign() -> None:
    free = PricesSection.model_validate({"currency": "EUR", "egress_per_gb": "-0.0"}).prices().egress_per_gb
    assert str(free) == "0.0"


def test_nothing_is_assumed() -> None:
    assert PricesSection().prices() == Prices()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"storage_per_gb_month": 0.006}, "storage_per_gb_month needs a currency"),
        ({"currency": "EUR", "budget_per_month": 10}, "needs storage_per_gb_month"),
        ({"currency": "euro"}, "pattern"),
        ({"currency": "EUR", "storage_per_gb_month": -1}, "greater than or equal to 0"),
        ({"currency": "EUR", "storage_per_gb_month": "nan"}, "finite"),
        ({"currency": "EUR", "egress_per_gb": "1e400"}, "is no price"),
        ({"currency": "EUR", "egress_per_gb": "1e-400"}, "is no price: 0, or from 0.000000001 to 1000000000"),
        ({"storage_limit": "99999999999999999999 TB"}, "is too much"),
        ({"storage_limit": "0 GB"}, "greater than 0"),
        ({"price": 1}, "Extra inputs"),
    ],
)
def test_what_makes_no_sense_is_refused(section: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PricesSection.model_validate(section)

"""What stored bytes take and cost: parts add up, and nothing is priced that has no price."""

from decimal import Decimal

import pytest

from shared.domain.backup import BackupKind
from shared.domain.cost import MonthUse, Prices, format_money, month_cost, share_by_kind

DAILY, WEEKLY = BackupKind.DAILY, BackupKind.WEEKLY
USE = MonthUse(mean_stored_bytes=250 * 10**9, writes=12_000, reads=3_000, egress_bytes=40 * 10**9)


def test_an_object_counts_once_for_the_one_kind_that_needs_it_or_as_shared() -> None:
    sizes = [
        (frozenset({DAILY}), 10),
        (frozenset({DAILY}), 5),
        (frozenset({DAILY, WEEKLY}), 100),
        (frozenset({WEEKLY}), 7),
        (frozenset[BackupKind](), 3),
    ]

    shares = share_by_kind(sizes)

    assert shares == {"daily": 15, "weekly": 7, "shared": 100, "unneeded": 3}
    assert sum(shares.values()) == sum(size for _, size in sizes)


def test_a_month_is_priced_line_by_line() -> None:
    prices = Prices(
        currency="EUR",
        storage_per_gb_month=Decimal("0.006"),
        write_per_1000=Decimal("0.005"),
        read_per_1000=Decimal("0.0004"),
        egress_per_gb=Decimal("0.01"),
    )

    cost = month_cost(USE, prices)

    assert {line.name: line.amount for line in cost.lines} == {
        "storage": Decimal("1.500"),
        "writes": Decimal("0.060"),
        "reads": Decimal("0.0012"),
        "egress": Decimal("0.40"),
    }
    assert cost.total == Decimal("1.9612")
    assert cost.beside_storage == Decimal("0.4612")
    assert cost.unpriced == ()


def test_without_prices_there_is_no_money_at_all() -> None:
    cost = month_cost(USE, Prices())

    assert cost.total is None
    assert cost.unpriced == ("storage", "writes", "reads", "egress")
    assert format_money(cost.total, cost.currency) == "–"


def test_a_missing_price_is_named_and_a_price_of_zero_is_free() -> None:
    cost = month_cost(USE, Prices(currency="EUR", storage_per_gb_month=Decimal("0.006"), egress_per_gb=Decimal(0)))

    assert cost.total == Decimal("1.500")
    assert cost.unpriced == ("writes", "reads")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"storage_limit_bytes": 500}, 500),
        ({"budget_per_month": Decimal(3), "storage_per_gb_month": Decimal("0.006")}, 500 * 10**9),
        ({"budget_per_month": Decimal(3), "storage_per_gb_month": Decimal("0.006"), "storage_limit_bytes": 7}, 7),
        ({"budget_per_month": Decimal(3)}, None),
        ({"budget_per_month": Decimal(3), "storage_per_gb_month": Decimal(0)}, None),
    ],
)
def test_a_budget_is_so_many_bytes(changes: dict[str, object], expected: int | None) -> None:
    assert Prices(**changes).storage_budget_bytes() == expected  # type: ignore[arg-type]


def test_requests_and_egress_come_off_the_budget_first() -> None:
    prices = Prices(budget_per_month=Decimal(3), storage_per_gb_month=Decimal("0.006"))

    assert prices.storage_budget_bytes(Decimal("1.5")) == 250 * 10**9
    assert prices.storage_budget_bytes(Decimal(9)) == 0


@pytest.mark.parametrize(
    ("amount", "text"),
    [("12.345", "12.34 EUR"), ("0", "0.00 EUR"), ("0.001", "under 0.01 EUR"), ("1234567.8", "1,234,567.80 EUR")],
)
def test_money_is_printed_with_its_currency(amount: str, text: str) -> None:
    assert format_money(Decimal(amount), "EUR") == text

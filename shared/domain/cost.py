"""What stored backups take, by source and kind, and what that costs at the configured prices.

An object is counted once, however many backups name it, and objects are never shared between sources; so the sizes of
sources add up to the whole. By kind an object belongs to the one kind that needs it; where backups of several kinds
need it, it is `shared`: it would stay if either kind were given up. What no backup names any more is `unneeded`, and
the next cleanup removes it. So the parts of a source add up to its size exactly, and each says what giving up that
kind would free.

Without a configured price there is no money: a missing price is never taken for zero, nor for a usual one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from shared.domain.backup import BackupKind

SHARED = "shared"
UNNEEDED = "unneeded"
GIGABYTE = 10**9
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What the store's owner charges, as configured; None is not known, zero is free.

    Attributes:
        currency: Code such as EUR; empty where no price is set.
        storage_per_gb_month: For keeping 10^9 bytes for a month.
        write_per_1000: For a thousand requests that store an object.
        read_per_1000: For a thousand requests that read one.
        egress_per_gb: For carrying 10^9 bytes out of the store.
        budget_per_month: What storage, requests and egress may cost together.
        storage_limit_bytes: What may be stored at most, for a disk or a plan that ends somewhere.
    """

    currency: str = ""
    storage_per_gb_month: Decimal | None = None
    write_per_1000: Decimal | None = None
    read_per_1000: Decimal | None = None
    egress_per_gb: Decimal | None = None
    budget_per_month: Decimal | None = None
    storage_limit_bytes: int | None = None

    def storage(self, stored_bytes: float) -> Decimal | None:
        """Return what keeping so many bytes for a month costs, or None without a price."""
        if self.storage_per_gb_month is None:
            return None
        return self.storage_per_gb_month * Decimal(stored_bytes) / GIGABYTE

    def storage_budget_bytes(self, other_costs: Decimal = Decimal(0)) -> int | None:
        """Return how much can be stored before the budget or the limit is reached, whichever comes first.

        Args:
            other_costs: What requests and egress cost in a month; it is taken off the budget first.
        """
        limits = [self.storage_limit_bytes] if self.storage_limit_bytes is not None else []
        if self.budget_per_month is not None and self.storage_per_gb_month:
            left = max(self.budget_per_month - other_costs, Decimal(0))
            limits.append(int(left / self.storage_per_gb_month * GIGABYTE))
        return min(limits, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthUse:
    """What was used of the store in some weeks, carried over to a month of 30 days.

    Attributes:
        mean_stored_bytes: Stored on average.
        writes: Requests that stored something; estimated, for backups record how much was new, not in how many pieces.
        reads: Requests of restore tests and verify runs, one an object.
        egress_bytes: Bytes that restore tests and verify runs read.
    """

    mean_stored_bytes: int = 0
    writes: int = 0
    reads: int = 0
    egress_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """One line of a month's bill.

    Attributes:
        name: storage, writes, reads or egress.
        amount: In the configured currency; None where its price is not configured.
    """

    name: str
    amount: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthCost:
    """A month's bill.

    Attributes:
        currency: Of every amount; empty where no price is configured.
        lines: Storage, writes, reads, egress.
    """

    currency: str
    lines: tuple[CostLine, ...]

    @property
    def total(self) -> Decimal | None:
        """The sum of what has a price; None where nothing has."""
        amounts = [line.amount for line in self.lines if line.amount is not None]
        return sum(amounts, Decimal(0)) if amounts else None

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Lines that the total leaves out, for want of a price."""
        return tuple(line.name for line in self.lines if line.amount is None)

    @property
    def beside_storage(self) -> Decimal:
        """What has a price beside storage."""
        return sum((line.amount for line in self.lines if line.amount and line.name != "storage"), Decimal(0))


def month_cost(use: MonthUse, prices: Prices) -> MonthCost:
    """Say what a month like this costs."""
    return MonthCost(
        currency=prices.currency,
        lines=(
            CostLine(name="storage", amount=prices.storage(use.mean_stored_bytes)),
            CostLine(name="writes", amount=_times(prices.write_per_1000, use.writes, 1000)),
            CostLine(name="reads", amount=_times(prices.read_per_1000, use.reads, 1000)),
            CostLine(name="egress", amount=_times(prices.egress_per_gb, use.egress_bytes, GIGABYTE)),
        ),
    )


def share_by_kind(sizes: Iterable[tuple[frozenset[BackupKind], int]]) -> Mapping[str, int]:
    """Add up objects by what needs them; the sum of the answer is the sum of what was given.

    Args:
        sizes: For every object, or every group of them, the kinds of the backups that name it, and its stored bytes.

    Returns:
        Bytes by kind, and by `shared` and `unneeded`, in that order; parts without bytes are left out.
    """
    totals = dict.fromkeys([*(kind.value for kind in BackupKind), SHARED, UNNEEDED], 0)
    for kinds, stored_bytes in sizes:
        name = UNNEEDED if not kinds else SHARED if len(kinds) > 1 else next(iter(kinds)).value
        totals[name] += stored_bytes
    return {name: total for name, total in totals.items() if total}


def format_money(amount: Decimal | None, currency: str) -> str:
    """Print an amount: `12.30 EUR`, `under 0.01 EUR`, or a dash where there is none."""
    if amount is None:
        return "–"
    if 0 < amount < _CENT:
        return f"under {_CENT} {currency}".rstrip()
    return f"{amount.quantize(_CENT, ROUND_HALF_EVEN):,} {currency}".rstrip()


def _times(price: Decimal | None, count: int, per: int) -> Decimal | None:
    return None if price is None else price * count / per

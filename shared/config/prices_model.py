"""`[prices]` and `[reports]`: what the store charges, and where reports go."""

from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from shared.config.section import Bytes, Section
from shared.domain.cost import Prices

_LEAST, _MOST = Decimal("1e-9"), Decimal("1e9")


def _sensible(price: Decimal) -> Decimal:
    if price and not _LEAST <= price <= _MOST:
        raise ValueError(f"{price} is no price: 0, or from {_LEAST:f} to {_MOST:f}")
    return abs(price)  # -0.0 is 0


Price = Annotated[Decimal, Field(ge=0, allow_inf_nan=False), AfterValidator(_sensible)]


class PricesSection(Section):
    """What keeping and reading costs; nothing is assumed where nothing is set."""

    currency: str = Field(default="", pattern=r"^([A-Z]{3})?$")
    storage_per_gb_month: Price | None = None
    write_per_1000: Price | None = None
    read_per_1000: Price | None = None
    egress_per_gb: Price | None = None
    budget_per_month: Price | None = None
    storage_limit: Bytes | None = None

    @model_validator(mode="after")
    def _money_has_a_currency(self) -> "PricesSection":
        amounts = self.model_dump(exclude={"currency", "storage_limit"}, exclude_none=True)
        if amounts and not self.currency:
            raise ValueError(f'{next(iter(amounts))} needs a currency; write for example currency = "EUR"')
        if self.budget_per_month is not None and self.storage_per_gb_month is None:
            raise ValueError("budget_per_month needs storage_per_gb_month, or nothing can be held against it")
        return self

    def prices(self) -> Prices:
        """Return them as the domain knows them."""
        amounts = self.model_dump(exclude={"storage_limit"})
        return Prices(**amounts, storage_limit_bytes=self.storage_limit)


class ReportsSection(Section):
    """Compliance reports."""

    folder: str = ".goldcopy/reports"
    organisation: str = Field(default="", max_length=100)

"""The size that was to be expected of every backup of a series, drawn as a band behind the sizes.

On the logarithms: the median of the 28 backups before, and four robust deviations around it. A backup never judges
itself, and a band is never narrower than one per cent, or the smallest change of a calm series would fall out of it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from shared.domain.robust import MAD_TO_DEVIATION

WINDOW = 28
FEWEST = 7
_DEVIATIONS = 4.0
_NARROWEST = math.log(1.01)


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """What was to be expected; in bytes."""

    low: float
    high: float

    def holds(self, size_bytes: int) -> bool:
        """Say whether a size lies inside."""
        return self.low <= size_bytes <= self.high


def expected_band(sizes: Sequence[int]) -> tuple[Band | None, ...]:
    """Return the band at every backup of one source and kind.

    Args:
        sizes: In bytes, oldest first; of nothing (0) nothing is learnt.

    Returns:
        As many as there are sizes; None where fewer than `FEWEST` backups came before.
    """
    bands: list[Band | None] = []
    before: list[float] = []
    for size in sizes:
        bands.append(_band(before[-WINDOW:]))
        if size > 0:
            before.append(math.log(size))
    return tuple(bands)


def _band(before: Sequence[float]) -> Band | None:
    if len(before) < FEWEST:
        return None
    middle = median(before)
    deviation = MAD_TO_DEVIATION * median(abs(value - middle) for value in before)
    reach = max(_DEVIATIONS * deviation, _NARROWEST)
    return Band(low=math.exp(middle - reach), high=math.exp(middle + reach))

"""How long to wait before the next try: exponential, capped, with jitter so that a crowd does not come back at once."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    first_s: float
    max_s: float

    def delay_s(self, attempt: int) -> float:
        """The wait after the `attempt`-th failure in a row (from 1): between half of the step and all of it."""
        # Beyond 2**32 the cap has long been reached, and the power would leave the range of floats.
        step_s = min(self.max_s, self.first_s * 2.0 ** min(attempt - 1, 32))
        return step_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing

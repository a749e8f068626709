"""The day until which an exception of a site holds, as one from TLS: it ends, and not when all have forgotten it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

# Two years: a scanner's next service contract.
DAYS_MAX: Final = 731


def check_until(until: date) -> None:
    """Raises ValueError, which says what to write."""
    latest = datetime.now(UTC).date() + timedelta(days=DAYS_MAX)
    if until > latest:
        raise ValueError(
            f"until {until} is more than two years from now, and an exception is to end: write {latest} at the latest, "
            "and a later day once that comes near (radstream doctor says so)"
        )

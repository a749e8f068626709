"""Exceptions from TLS: each is for one address, and ends before all have forgotten it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

from streams.networks import address_of
from streams.peers.peer import Plain

# Two years: a scanner's next service contract.
DAYS_MAX: Final = 731


def exception(address: str, until: date) -> Plain:
    """Raises ValueError, which says what to write."""
    latest = datetime.now(UTC).date() + timedelta(days=DAYS_MAX)
    if until > latest:
        raise ValueError(
            f"until {until} is more than two years from now, and an exception is to end: write {latest} at the latest, "
            "and a later day once that comes near (radstream doctor says so)"
        )
    try:
        return Plain(address_of(address.strip()), until)
    except ValueError:
        raise ValueError(f"{address} is not one address; an exception is for one, as 10.20.3.7") from None

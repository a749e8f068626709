"""Exceptions from TLS: each is for one address, and ends before all have forgotten it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

from streams.config import Section
from streams.networks import Network, address_of, is_loopback
from streams.peers.peer import Plain

# Two years: a scanner's next service contract.
DAYS_MAX: Final = 731
_EXAMPLE_ADDRESS, _EXAMPLE_DAYS = "10.20.3.7", 365


class Excepted(Section, frozen=True, kw_only=True):
    """An exception as a file has it: this address may come without TLS until the end of a day (UTC)."""

    address: str
    until: date


def exception(written: Excepted) -> Plain:
    """Raises ValueError, which says what to write."""
    latest = datetime.now(UTC).date() + timedelta(days=DAYS_MAX)
    if written.until > latest:
        raise ValueError(
            f"until {written.until} is more than two years from now, and an exception is to end: write {latest} at the "
            "latest, and a later day once that comes near (radstream doctor says so)"
        )
    try:
        return Plain(address_of(written.address.strip()), written.until)
    except ValueError:
        raise ValueError(
            f"{written.address} is not one address; an exception is for one, as {_EXAMPLE_ADDRESS}"
        ) from None


def check_who_comes(host: str, networks: Sequence[Network], exceptions: Sequence[Plain], instead: str) -> None:
    """Of a port without TLS, to which other machines than this one come by `exceptions` alone.

    `networks` are those that are to come without one; `instead` says where TLS is. Raises ValueError, which says what
    to write.
    """
    if is_loopback(host):
        return
    others = [network for network in networks if not network.is_loopback]
    if not exceptions:
        raise ValueError(
            f'host {host} lets other machines in, and there is no TLS here: write host = "127.0.0.1" {instead}; '
            f"{_or_except(others)}"
        )
    if others:
        named = ", ".join(map(str, others))
        raise ValueError(
            f"addresses has {named}, of other machines, and there is no TLS here: take it away; {_or_except(others)}"
        )


def _or_except(others: Iterable[Network]) -> str:
    """The other thing to write, with a machine that was meant, where one is named."""
    named = next((str(one.network_address) for one in others if one.num_addresses == 1), _EXAMPLE_ADDRESS)
    until = datetime.now(UTC).date() + timedelta(days=_EXAMPLE_DAYS)
    return (
        "or name each machine that has to come without, in an exception with an end date, "
        f'plain = [{{ address = "{named}", until = {until} }}]'
    )

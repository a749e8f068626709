"""Addresses and networks, as configurations have them and connections come from them."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_OF_ONE_MACHINE: Final = 64
# ::ffff:0:0/96 (RFC 4291 section 2.5.5.2).
_MAPPED: Final = IPv6Network("::ffff:0:0/96")


def network_of(text: str) -> Network:
    """A network, or an address as one of its own; an IPv4-mapped one is the IPv4 one, as with `address_of`.

    Raises ValueError, which says what to write.
    """
    try:
        return _unmapped(ip_network(text.strip()))
    except ValueError:
        raise ValueError(_advice(text)) from None


def networks_of(texts: Iterable[str]) -> tuple[Network, ...]:
    """Raises ValueError for the first that is none."""
    return tuple(network_of(text) for text in texts)


def address_of(text: str) -> Address:
    """The address of a connection: an IPv4 one is that also where it came to an IPv6 socket. Raises ValueError."""
    address = ip_address(text.partition("%")[0])
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def counted_as(address: str) -> str:
    """Whose a connection from there is where peers are counted: an IPv4 address, or the /64 of an IPv6 one.

    A machine gives itself as many addresses of its /64 as it likes (RFC 4291 section 2.5.4, RFC 8981).
    Raises ValueError.
    """
    known = address_of(address)
    return str(known) if isinstance(known, IPv4Address) else str(ip_network((known, _OF_ONE_MACHINE), strict=False))


def is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


class Networks:
    """Many networks, most of them single addresses: that an address is in none is found at once, as floods want it."""

    def __init__(self, networks: Iterable[Network]) -> None:
        known = set(networks)
        self._wide = tuple(one for one in known if one.prefixlen < one.max_prefixlen)
        self._single = frozenset(one.network_address for one in known if one.prefixlen == one.max_prefixlen)

    def __contains__(self, address: Address) -> bool:
        return address in self._single or is_in(address, self._wide)


def _unmapped(network: Network) -> Network:
    if isinstance(network, IPv4Network) or not network.subnet_of(_MAPPED):
        return network
    first = network.network_address.ipv4_mapped
    assert first is not None  # noqa: S101 - it is in _MAPPED
    return IPv4Network((first, network.prefixlen - _MAPPED.prefixlen))


def is_loopback(host: str) -> bool:
    """Whether who listens there is heard on this machine alone. A name other than localhost could be any address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _advice(text: str) -> str:
    try:
        meant = _unmapped(ip_network(text.strip(), strict=False))
    except ValueError:
        return f"{text} is no address and no network; write 10.20.3.7, 10.20.3.0/24 or 2001:db8:20::/48"
    return f"{text} has bits beyond its network's; write {meant}, or the address alone"

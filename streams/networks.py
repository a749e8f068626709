"""Addresses and networks, as configurations have them and connections come from them."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def network_of(text: str) -> Network:
    """A network, or an address as one of its own. Raises ValueError, which says what to write."""
    try:
        return ip_network(text.strip())
    except ValueError:
        raise ValueError(_advice(text)) from None


def networks_of(texts: Iterable[str]) -> tuple[Network, ...]:
    """Raises ValueError for the first that is none."""
    return tuple(network_of(text) for text in texts)


def address_of(text: str) -> Address:
    """The address of a connection: an IPv4 one is that also where it came to an IPv6 socket. Raises ValueError."""
    address = ip_address(text.partition("%")[0])
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def is_loopback(host: str) -> bool:
    """Whether who listens there is heard on this machine alone. A name other than localhost could be any address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _advice(text: str) -> str:
    try:
        meant = ip_network(text.strip(), strict=False)
    except ValueError:
        return f"{text} is no address and no network; write 10.20.3.7, 10.20.3.0/24 or 2001:db8:20::/48"
    return f"{text} has bits beyond its network's; write {meant}, or the address alone"

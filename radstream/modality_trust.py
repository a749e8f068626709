"""Whether the router's peers file lets a node send, from where it is; and whether this machine may ask in its name."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address

from producers.dicom_router.config import Settings as Router
from radstream.checks.check import Check, broken, well
from streams.networks import Address
from streams.nodes import Node
from streams.peers.peer import Peer, Peers, Why
from streams.peers.reading import read_peers

_ROUTER = "router"


@dataclass(frozen=True)
class Trust:
    """What the router believes of a node. `peers` is None where there is no peers file: this machine alone may send."""

    node: Node
    router: Router
    peers: Peers | None

    @classmethod
    def of(cls, node: Node, router: Router) -> Trust:
        """`router` has the absolute path of its peers file. Raises ConfigError for one that cannot be used."""
        return cls(node, router, None if router.peers is None else read_peers(router.peers))

    @property
    def lets_this_machine(self) -> bool:
        """Whether a test from here, without TLS, is answered as the node would be."""
        return self.peers is None or isinstance(self._judged(ip_address("127.0.0.1")), Peer)

    @property
    def port(self) -> int:
        """Where the node has to send: the port for TLS, where it must."""
        if self.peers is None or self.router.tls is None:
            return self.router.port
        may_do_without = any(isinstance(self._judged(address), Peer) for address in _addresses(self.node))
        return self.router.port if may_do_without else self.router.tls.port

    def checks(self) -> Iterator[Check]:
        """How it may send, or what is missing for that in the peers file."""
        if self.peers is None:
            return
        peer = self.peers.by_title.get(self.node.ae_title)
        if peer is None:
            yield broken(_ROUTER, "peers", f"No peer has the AE title {self.node.ae_title}.", self._mend())
            return
        addresses = _addresses(self.node)
        known = [address for address in addresses if peer.has_address(address)]
        if not known:
            come = ", ".join(map(str, peer.addresses))
            found = f"{self.node.ae_title} may come from {come}, and {self.node.host} is not there."
            yield broken(_ROUTER, "peers", found, self._mend())
            return
        plain = [self._judged(address) for address in known]
        if any(isinstance(one, Peer) for one in plain):
            yield well(_ROUTER, "peers", f"{self.node.ae_title} may send from {self.node.host} without TLS.")
        elif peer.has_certificate and self.router.tls is not None:
            yield well(_ROUTER, "peers", f"{self.node.ae_title} may send by TLS, at port {self.router.tls.port}.")
        else:
            why = next(one.sentence for one in plain if not isinstance(one, Peer))
            yield broken(_ROUTER, "peers", f"{self.node.ae_title}: {why}.", self._mend())

    def _judged(self, address: Address) -> Peer | Why:
        assert self.peers is not None  # noqa: S101 - asked for where there are peers
        return self.peers.judge(self.node.ae_title, address, None, datetime.now(UTC).date())

    def _mend(self) -> str:
        return f"Mend it in {self.router.peers}, and try: radstream peers check {self.router.peers}"


def _addresses(node: Node) -> list[Address]:
    try:
        found = socket.getaddrinfo(node.host, node.port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [ip_address(str(one[4][0]).partition("%")[0]) for one in found]

"""What the router has to allow before a migration begins: the lane, and by C-GET that images come from this machine."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from ipaddress import ip_address

from producers.dicom_router.config import Settings as Router
from producers.dicom_router.lane_rules import LaneRules
from producers.dicom_router.lanes import Lanes
from radstream.errors import Failure
from radstream.migrating.run import LANE
from streams.config import Config
from streams.networks import Address, address_of
from streams.nodes import Node
from streams.peers.peer import Peer
from streams.peers.reading import read_peers


def check_lane(config: Config, router: Router, node: Node) -> None:
    """A migration never delays a scanner: what the old PACS sends has to travel in its own lane. Raises Failure."""
    lanes = Lanes(router.lanes, lambda: {} if router.peers is None else read_peers(router.peers).lanes)
    by_rule = LaneRules.of_site(config).of_titles(node.ae_title, router.ae_title)
    if (by_rule or lanes.of(node.ae_title)) != LANE:
        raise Failure(
            f"{config.path}: what {node.ae_title} sends is not in the {LANE} lane, so it would delay scanners. Add to "
            f'lanes in [router]: "{node.ae_title}" = "{LANE}", and start the router anew: radstream restart router; '
            "or give its peer in the peers file, or a rule for it, that lane"
        )


def check_relay(router: Router, node: Node) -> None:
    """By C-GET what the old PACS gives comes from this machine, without TLS, under its AE title. Raises Failure."""
    if router.peers is None:
        return
    address = _relayed_from(router)
    judged = read_peers(router.peers).judge(node.ae_title, address, None, datetime.now(UTC).date())
    if isinstance(judged, Peer):
        return
    how = (
        f'addresses = ["{address}"], and neither certificate nor plain'
        if address.is_loopback
        else f'{address} in addresses, and plain = {{ address = "{address}", until = DAY }}'
    )
    raise Failure(
        f"{router.peers}: {judged.sentence}: by --get what {node.ae_title} gives comes to the router from this machine "
        f"({address}), without TLS and under its AE title. For the time of the migration give its peer {how}"
    )


def _relayed_from(router: Router) -> Address:
    """Where the router sees us come from: whoever connects to an address of this machine comes from that one."""
    everywhere = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not listened on
    try:
        found = socket.getaddrinfo(everywhere.get(router.host, router.host), None, type=socket.SOCK_STREAM)
    except OSError:
        return ip_address("127.0.0.1")
    return address_of(str(found[0][4][0]))

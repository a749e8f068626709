"""Nodes that want TLS: whether they can be had, and what of ours ends."""

from __future__ import annotations

from collections.abc import Iterator

from radstream.checks import ends
from radstream.checks.check import Check, broken, well
from streams import nodes
from streams.config import Config, ConfigError
from streams.routes.section import destinations_of
from streams.tls.clients import SECTION as CLIENTS
from streams.tls.clients import Clients
from streams.tls.ends import ends_of_ours

NODES = "nodes"


def check_nodes(config: Config) -> Iterator[Check]:
    """Whether nodes that want TLS can be had, out of the file of nodes and the rules; and what of ours ends."""
    clients = Clients(config)
    named = {**nodes.read(nodes.file_of(config)), **destinations_of(config)}
    secured = {name: node for name, node in named.items() if node.tls}
    if not secured:
        return
    wrong = []
    for node in secured.values():
        try:
            clients.of(node)
        except ConfigError as error:
            wrong.append(str(error))
    for text in dict.fromkeys(wrong):
        yield broken(NODES, "TLS", f"{text}.", "Mend it; services that run keep what they read before.")
    if not wrong:
        yield well(NODES, "TLS", f"{len(secured)} nodes by TLS, and what [dicom.tls] names for them can be used.")
    yield from ends.check(ends_of_ours(clients.ends(), CLIENTS), NODES, CLIENTS)

"""C-STORE sub-operations of a C-MOVE: on an association of our own to a node that the site knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gateway.dimse import reading
from gateway.dimse.reading import Reading, Unsent, contexts_of, offered
from gateway.dimse.selecting import Wanted
from streams import nodes
from streams.config import ConfigError
from streams.nodes import Node
from streams.store_scu import CONTEXTS_MAX, Lost, NoAssociation, Originator, StoreScu, TakesNone, Target
from streams.tls.clients import Clients

# Of a node that loses one association after another, nothing more is hoped.
_LOST_MAX = 3


class Unknown(Exception):
    """No node, or more than one, has the AE title (status 0xA801). The text says which."""


def node_of(path: Path, ae_title: str) -> Node:
    """Raises Unknown, ConfigError for a file of nodes that cannot be used."""
    known = [node for node in nodes.read(path).values() if node.ae_title.strip() == ae_title]
    # One node may be entered under two names.
    if len({(node.host, node.port, node.tls) for node in known}) != 1:
        raise Unknown("more than one node has this AE title" if known else "no node of this site has this AE title")
    return known[0]


class Moving:
    """Used from one thread. What is sent later is proposed with what is sent now, as far as there is room."""

    def __init__(
        self,
        node: Node,
        clients: Clients,
        calling_ae: str,
        originator: Originator,
        wanted: Sequence[Wanted],
        reading: Reading,
        answer_s_max: float,
    ) -> None:
        self._node = node
        self._clients = clients
        self._calling_ae = calling_ae
        self._originator = originator
        self._wanted = wanted
        self._reading = reading
        self._answer_s_max = answer_s_max
        self._scu: StoreScu | None = None
        self._proposed: frozenset[tuple[str, str]] = frozenset()
        self._not_taken: set[tuple[str, str]] = set()
        self._lost = 0

    def send(self, place: int) -> int:
        """The status of the C-STORE of one of `wanted`. Raises Unsent."""
        one = self._wanted[place]
        scu = self._opened(place)
        with self._reading.data_set(one, lambda syntax: scu.accepts(one.sop_class, syntax)) as (syntax, data):
            try:
                status = scu.store(one.sop_class, one.sop_instance, syntax, data, self._originator)
            except Lost:
                self._lost += 1
                self._drop()
                raise reading.Lost from None
        self._lost = 0
        return status

    def close(self) -> None:
        if self._scu is not None:
            self._scu.close()
            self._scu = None

    def _opened(self, place: int) -> StoreScu:
        one = self._wanted[place]
        if self._scu is not None and (one.sop_class, offered(one)[0]) in self._proposed:
            return self._scu
        if self._lost >= _LOST_MAX:
            raise Unsent("lost")
        if all((one.sop_class, syntax) in self._not_taken for syntax in offered(one)):
            raise Unsent("not_accepted")
        self.close()
        contexts = contexts_of(self._wanted[place:], CONTEXTS_MAX)
        node = self._node
        try:
            target = Target(node.ae_title, node.host, node.port, self._clients.of(node))
            self._scu = StoreScu(target, self._calling_ae, contexts, answer_s_max=self._answer_s_max)
        except TakesNone:
            # Nobody is asked again for what was just declined, for each instance of it.
            self._not_taken |= set(contexts)
            raise Unsent("not_accepted") from None
        except (NoAssociation, ConfigError):
            # Whoever cannot be reached is not tried again for each instance.
            self._lost = _LOST_MAX
            raise Unsent("no_association") from None
        self._proposed = frozenset(contexts)
        return self._scu

    def _drop(self) -> None:
        if self._scu is not None:
            self._scu.abort()
            self._scu = None

"""Who is let in: how many connections and associations there may be, from all peers and from each.

A peer is an address. One that takes all it can get leaves room for the others.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

# Connections without an association: peers that are setting one up, are told that there is no room, or close.
_CONNECTIONS_PER_ASSOCIATION: Final = 2


@dataclass
class _Count:
    """How many there are, in all and by peer, and how many there may be."""

    total_max: int
    per_peer_max: int
    total: int = 0
    by_peer: Counter[str] = field(default_factory=Counter)

    def take(self, peer: str) -> bool:
        if self.total >= self.total_max or self.by_peer[peer] >= self.per_peer_max:
            return False
        self.total += 1
        self.by_peer[peer] += 1
        return True

    def give_back(self, peer: str) -> None:
        self.total -= 1
        self.by_peer[peer] -= 1
        if not self.by_peer[peer]:
            del self.by_peer[peer]


class Admission:
    """Used from any thread."""

    def __init__(self, associations_max: int, associations_per_peer_max: int) -> None:
        factor = _CONNECTIONS_PER_ASSOCIATION
        self._lock = threading.Lock()
        self._connections = _Count(factor * associations_max, factor * associations_per_peer_max)
        self._associations = _Count(associations_max, associations_per_peer_max)

    @property
    def associations(self) -> int:
        """How many are open."""
        return self._associations.total

    def connect(self, peer: str) -> bool:
        """Whether there is room for a connection; `disconnect` gives it back."""
        with self._lock:
            return self._connections.take(peer)

    def disconnect(self, peer: str) -> None:
        with self._lock:
            self._connections.give_back(peer)

    def associate(self, peer: str) -> bool:
        """Whether there is room for an association; `dissociate` gives it back."""
        with self._lock:
            return self._associations.take(peer)

    def dissociate(self, peer: str) -> None:
        with self._lock:
            self._associations.give_back(peer)


class AssociationPlace:
    """The place of one connection among the associations. Used by its thread."""

    def __init__(self, admission: Admission, peer: str) -> None:
        self._admission = admission
        self._peer = peer
        self._taken = False

    def take(self) -> bool:
        """Whether there is one."""
        self._taken = self._admission.associate(self._peer)
        return self._taken

    def give_back(self) -> None:
        """The association is over, if there was one. May be said twice."""
        if self._taken:
            self._taken = False
            self._admission.dissociate(self._peer)

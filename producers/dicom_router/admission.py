"""Room: how many connections and associations there may be, from all peers and from each.

A peer is an address. One that takes all it can get leaves room for the others. An AE title may have a limit of its own.
Where the router has several processes, these are limits of all of them together.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Protocol

# Connections without an association: peers that are setting one up, are told that there is no room, or close.
_CONNECTIONS_PER_ASSOCIATION: Final = 2


class Shared(Protocol):
    """What the processes of a router tell each other of their counts (`streams.handover.shares`)."""

    def tell(self, name: str, count: int) -> None:
        """How many we have."""

    def elsewhere(self, name: str) -> int:
        """How many the other processes have."""


class Alone:
    """There are no other processes."""

    def tell(self, name: str, count: int) -> None:
        pass

    def elsewhere(self, name: str) -> int:
        return 0


@dataclass
class _Counts:
    """How many there are, by name, here and in all processes. Used by one thread at a time."""

    kind: str
    shared: Shared
    here: Counter[str] = field(default_factory=Counter)

    def take(self, name: str, most: int) -> bool:
        """Whether there is one more, within `most`. Told first and then asked, so that never more than `most` are."""
        self._add(name, 1)
        if self.here[name] + self.shared.elsewhere(self._named(name)) <= most:
            return True
        self._add(name, -1)
        return False

    def give_back(self, name: str) -> None:
        self._add(name, -1)

    def _add(self, name: str, more: int) -> None:
        self.here[name] += more
        self.shared.tell(self._named(name), self.here[name])
        if not self.here[name]:
            del self.here[name]

    def _named(self, name: str) -> str:
        return f"{self.kind} {name}"


class _Count:
    """How many there are, in all and by peer, and how many there may be."""

    _ALL: Final = ""

    def __init__(self, kind: str, shared: Shared, total_max: int, per_peer_max: int) -> None:
        self._counts = _Counts(kind, shared)
        self._total_max = total_max
        self._per_peer_max = per_peer_max

    @property
    def total(self) -> int:
        """In this process."""
        return self._counts.here[self._ALL]

    def take(self, peer: str) -> bool:
        if not self._counts.take(self._ALL, self._total_max):
            return False
        if not self._counts.take(peer, self._per_peer_max):
            self._counts.give_back(self._ALL)
            return False
        return True

    def give_back(self, peer: str) -> None:
        self._counts.give_back(self._ALL)
        self._counts.give_back(peer)


class Admission:
    """Used from any thread. `service` tells apart what has limits of its own."""

    def __init__(
        self,
        associations_max: int,
        associations_per_peer_max: int,
        shared: Shared | None = None,
        service: str = "dicom",
    ) -> None:
        factor, shared = _CONNECTIONS_PER_ASSOCIATION, shared or Alone()
        self._lock = threading.Lock()
        self._connections = _Count(
            f"{service} connections", shared, factor * associations_max, factor * associations_per_peer_max
        )
        self._associations = _Count(f"{service} associations", shared, associations_max, associations_per_peer_max)
        self._titles = _Counts(f"{service} titles", shared)

    @property
    def associations(self) -> int:
        """How many are open, in this process."""
        return self._associations.total

    def connect(self, peer: str) -> bool:
        """Whether there is room for a connection; `disconnect` gives it back."""
        with self._lock:
            return self._connections.take(peer)

    def disconnect(self, peer: str) -> None:
        with self._lock:
            self._connections.give_back(peer)

    def associate(self, peer: str, ae_title: str = "", ae_title_max: int | None = None) -> bool:
        """Whether there is room for an association; `dissociate` gives it back.

        `ae_title_max` is how many there may be of that AE title, wherever they come from.
        """
        with self._lock:
            if not self._titles.take(ae_title, _ANY if ae_title_max is None else ae_title_max):
                return False
            if not self._associations.take(peer):
                self._titles.give_back(ae_title)
                return False
            return True

    def dissociate(self, peer: str, ae_title: str = "") -> None:
        with self._lock:
            self._associations.give_back(peer)
            self._titles.give_back(ae_title)


# More than there can be.
_ANY: Final = 1 << 31

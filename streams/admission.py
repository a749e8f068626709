"""Room: how many connections and associations there may be, from all peers and from each.

A peer is an address, or an IPv6 network of which one machine may have all (`networks.counted_as`). One that takes all
it can get leaves room for the others. Strangers, whom nothing could let in, have a little room of their own: enough to
be told so, and none of what peers have. An AE title may have a limit of its own. Where a service has several
processes, these are limits of all of them together.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Protocol

from streams.networks import counted_as

# Connections without an association: peers that are setting one up, are told that there is no room, or close.
_CONNECTIONS_PER_ASSOCIATION: Final = 2
# Connections of strangers, of all and of one address: a person who connects a scanner reads why it may not come in,
# also while somebody else floods us.
STRANGERS_MAX: Final = 16
STRANGERS_PER_PEER_MAX: Final = 4


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
        self.yield_to_others()
        self.give_back_own(peer)

    def yield_to_others(self) -> None:
        """One of all, which its peer still has."""
        self._counts.give_back(self._ALL)

    def give_back_own(self, peer: str) -> None:
        """What its peer had still."""
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
        self.lock = threading.Lock()
        self._connections = _Count(
            f"{service} connections", shared, factor * associations_max, factor * associations_per_peer_max
        )
        self._strangers = _Count(f"{service} strangers", shared, STRANGERS_MAX, STRANGERS_PER_PEER_MAX)
        self._associations = _Count(f"{service} associations", shared, associations_max, associations_per_peer_max)
        self._titles = _Counts(f"{service} titles", shared)

    @property
    def associations(self) -> int:
        """How many are open, in this process."""
        return self._associations.total

    def connect(self, address: str, *, is_stranger: bool = False) -> Place | None:
        """The place of a connection, or None where there is no room for it."""
        peer, count = counted_as(address), self._strangers if is_stranger else self._connections
        with self.lock:
            return Place(self, count, peer) if count.take(peer) else None

    def _associate(self, peer: str, ae_title: str, ae_title_max: int | None) -> bool:
        with self.lock:
            if not self._titles.take(ae_title, _ANY if ae_title_max is None else ae_title_max):
                return False
            if not self._associations.take(peer):
                self._titles.give_back(ae_title)
                return False
            return True

    def _dissociate(self, peer: str, ae_title: str) -> None:
        with self.lock:
            self._associations.give_back(peer)
            self._titles.give_back(ae_title)


class Place:
    """A connection's, and that of its association where it has one: `associate` is said by one thread."""

    def __init__(self, admission: Admission, connections: _Count, peer: str) -> None:
        self._admission = admission
        self._connections = connections
        self._peer = peer
        self._ae_title: str | None = None
        self._has_yielded = self._has_left = False

    def associate(self, ae_title: str = "", ae_title_max: int | None = None) -> bool:
        """Whether there is room for an association; `dissociate` gives it back.

        `ae_title_max` is how many there may be of that AE title, wherever they come from.
        """
        if not self._admission._associate(self._peer, ae_title, ae_title_max):
            return False
        self._ae_title = ae_title
        return True

    def dissociate(self) -> None:
        """The association is over, if there was one. May be said twice, and by two threads at once."""
        with self._admission.lock:
            ae_title, self._ae_title = self._ae_title, None
        if ae_title is not None:
            self._admission._dissociate(self._peer, ae_title)

    def yield_to_others(self) -> None:
        """Others may have it; among those of its own peer it counts until `leave`."""
        with self._admission.lock:
            if not self._has_left and not self._has_yielded:
                self._has_yielded = True
                self._connections.yield_to_others()

    def leave(self) -> None:
        """The connection is closed, and with it an association that it had. May be said twice."""
        self.dissociate()
        self.yield_to_others()
        with self._admission.lock:
            if not self._has_left:
                self._has_left = True
                self._connections.give_back_own(self._peer)


# More than there can be.
_ANY: Final = 1 << 31

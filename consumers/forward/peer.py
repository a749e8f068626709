"""A DICOM node and the associations with it: opened for what is to be sent, kept for more, released when idle."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from streams.config import ConfigError
from streams.dimse.contexts import Stored, Wanted, syntaxes
from streams.dimse.stored import Data
from streams.objects import NoRoom
from streams.recoding.native import Unrecodable
from streams.routes.rules import Destination
from streams.store_scu import Lost, NoAssociation, StoreScu, TakesNone, Target
from streams.tls.clients import Clients


class NotAccepted(Exception):
    """The node takes the SOP class in no transfer syntax that the instance can be sent in."""


@dataclass(frozen=True)
class Sent:
    """What the node answered, and what it was sent."""

    status: int
    transfer_syntax_uid: str
    size: int


@dataclass
class _Open:
    scu: StoreScu
    proposed: frozenset[tuple[str, str]]
    used_s: float
    fresh: bool = True


class Peer:
    """Used from several threads: each has an association of its own while it sends."""

    def __init__(self, node: Destination, clients: Clients) -> None:
        self._node = node
        self._clients = clients
        self._wanted = Wanted()
        self._free: list[_Open] = []
        self._lock = threading.Lock()

    def store(self, stored: Stored, sop_instance: str, data_set: Callable[[str], Data]) -> Sent:
        """Sends one instance; `data_set` gives it in a transfer syntax.

        Raises NoAssociation, NotAccepted, Lost where the node may have it or not, and what `data_set` raises.
        """
        while True:
            taken = self._taken(stored)
            try:
                sent = self._sent(taken.scu, stored, sop_instance, data_set)
            except (NotAccepted, Unrecodable, NoRoom):
                self._give_back(taken)
                raise
            except BaseException as error:
                taken.scu.abort()
                # What was kept for a while may have been closed by the node since: that is no fault of the instance.
                if isinstance(error, Lost) and not taken.fresh:
                    continue
                raise
            self._give_back(taken)
            return sent

    def _sent(self, scu: StoreScu, stored: Stored, sop_instance: str, data_set: Callable[[str], Data]) -> Sent:
        sop_class, transfer_syntax = stored
        accepted = next((one for one in syntaxes(transfer_syntax) if scu.accepts(sop_class, one)), None)
        if accepted is None:
            raise NotAccepted
        data = data_set(accepted)
        return Sent(scu.store(sop_class, sop_instance, accepted, data), accepted, len(data))

    def _taken(self, stored: Stored) -> _Open:
        """Raises NoAssociation, NotAccepted. One that was opened for other instances is released for a new one."""
        with self._lock:
            self._wanted.note(stored)
            contexts = self._wanted.contexts()
            free = self._free.pop() if self._free else None
        if free is not None:
            if stored in free.proposed:
                return free
            free.scu.close()
        try:
            scu = StoreScu(self._target(), self._node.calling_ae, contexts, answer_s_max=self._node.answer_s)
        except TakesNone:
            raise NotAccepted from None
        return _Open(scu, frozenset(contexts), time.monotonic())

    def _target(self) -> Target:
        """With what is believed now: a new certificate is shown from the next association on."""
        node = self._node
        try:
            return Target(node.ae_title, node.host, node.port, self._clients.of(node))
        except ConfigError:
            raise NoAssociation("it wants TLS, and ours cannot be used; see: radstream doctor") from None

    def _give_back(self, taken: _Open) -> None:
        taken.used_s, taken.fresh = time.monotonic(), False
        with self._lock:
            self._free.append(taken)

    def release_idle(self) -> None:
        """Releases what had nothing to do for `idle_s`."""
        self._release(time.monotonic() - self._node.idle_s)

    def close(self) -> None:
        """Releases what is not in use."""
        self._release(float("inf"))

    def _release(self, before_s: float) -> None:
        with self._lock:
            idle = [one for one in self._free if one.used_s <= before_s]
            self._free = [one for one in self._free if one.used_s > before_s]
        for one in idle:
            one.scu.close()

"""One of several processes of a service, as it goes through the steps of a handover with its parent."""

from __future__ import annotations

import socket
import threading
from typing import Final

from streams.generation import build
from streams.handover.handover import Beside, Handover
from streams.handover.messages import (
    SPEAKS,
    Ask,
    Broken,
    Channel,
    Done,
    Join,
    Leave,
    Offer,
    Pause,
    Paused,
    Ready,
    Resume,
    Serving,
    Yours,
)
from streams.handover.shares import Shares
from streams.stop import Stop

_JOIN_S_MAX: Final = 30.0


class Membership(Handover):
    """As `Handover`. Where the parent is gone, or says so, `stopping` is set. `shares` is what the members know of
    each other.
    """

    def __init__(self, stopping: threading.Event, descriptor: int) -> None:
        """`descriptor` is our end of the connection to the parent. Raises Stop where it has no parent at the other."""
        super().__init__(stopping)
        self._channel = Channel(socket.socket(fileno=descriptor))
        self._closed = False
        try:
            self._joined = self._channel.hear(Join, seconds=_JOIN_S_MAX)
            http, shared = self._channel.descriptors
        except (Broken, ValueError):
            raise self._orphaned() from None
        self._channel.descriptors = []
        self.shares = Shares(shared, self._joined.number, self._joined.count)
        self.ports.inherit((self._joined.http,), [http])

    @property
    def number(self) -> int:
        """From 1."""
        return self._joined.number

    @property
    def count(self) -> int:
        return self._joined.count

    def begin(self, beside: Beside) -> None:
        beside.open()
        beside.start()

    def ask(self) -> bool:
        try:
            self._channel.say(Ask(speaks=SPEAKS, build=build()))
            offer = self._channel.hear(Offer, seconds=None)
        except Broken:
            if self._stopping.is_set():
                return False
            raise self._orphaned() from None
        descriptors, self._channel.descriptors = self._channel.descriptors, []
        self.ports.inherit(offer.sockets, descriptors)
        return True

    def take(self) -> None:
        try:
            self._channel.say(Ready())
            self._channel.hear(Yours, seconds=None)
        except Broken:
            raise self._orphaned() from None

    def serving(self) -> None:
        self.ports.forget()
        try:
            self._channel.say(Serving())
            self._channel.hear(Done, seconds=None)
        except Broken:
            raise self._orphaned() from None
        threading.Thread(target=self._obey, name="parent", daemon=True).start()

    def close(self) -> None:
        """The parent finds out from the end of the process."""
        self._closed = True
        self._channel.close()
        self.ports.forget()

    def _obey(self) -> None:
        while not self.done:
            try:
                match self._channel.hear(Pause, Resume, Leave, seconds=None):
                    case Pause():
                        self.ports.pause()
                        self._channel.say(Paused())
                    case Resume():
                        self.ports.resume()
                    case Leave():
                        self.done = True
            except Broken:
                break
        self._stopping.set()

    def _orphaned(self) -> Stop:
        return Stop("the process that started this one is gone; start that one again")

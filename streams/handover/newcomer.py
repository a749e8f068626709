"""The newer side: asks who serves for its sockets, and takes over."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import Final

import structlog

from streams.config import ConfigError
from streams.generation import build
from streams.handover.messages import SPEAKS, Ask, Broken, Channel, Done, Offer, Ready, Refusal, Serving, Yours
from streams.handover.place import Place
from streams.ports import Ports
from streams.stop import Stop

_ANSWER_S_MAX: Final = 15.0
# Who serves may be busy with another that asked and is gone; or may be about to be gone itself.
_AGAIN_S_MAX: Final = 30.0
_PAUSE_S: Final = 0.1


class Newcomer:
    """Used by one thread. Holds the place's lock from `ask` to `close`."""

    def __init__(self, place: Place, ports: Ports, facts: Mapping[str, str]) -> None:
        self._place = place
        self._ports = ports
        self._facts = facts
        self._lock: int | None = None
        self._channel: Channel | None = None

    def ask(self, stopping: threading.Event) -> bool:
        """Gets the sockets of the process that serves, where there is one. False where `stopping` was set first.

        Raises ConfigError where its configuration does not go with ours, Stop where it does not answer.
        """
        self._lock = self._place.lock(stopping)
        if self._lock is None:
            return False
        self._channel = self._asked()
        return True

    def take(self) -> None:
        """Returns when connections are ours to take: the other lets them be, or is gone. Raises as `ask`."""
        end = time.monotonic() + _AGAIN_S_MAX
        while self._channel is not None:
            try:
                self._channel.say(Ready())
                self._channel.hear(Yours, seconds=_ANSWER_S_MAX)
                return
            except Broken as broken:
                self._broken_off(broken, end)
                self._channel = self._asked(inherit=False)

    def serving(self) -> None:
        """Tells the other that it may go. Raises Stop where it took its sockets back meanwhile."""
        if self._channel is None:
            return
        try:
            self._channel.say(Serving())
            self._channel.hear(Done, seconds=_ANSWER_S_MAX)
        except Broken as broken:
            # From here on the other's last word does not reach us: it goes on, whatever it was held up by.
            self._channel.close()
            if (connected := self._place.connect()) is not None:
                connected.close()
                raise Stop(f"who served goes on, as it did not hear in time that this one does ({broken})") from None
            structlog.get_logger().warning("handover_other_gone", reason=str(broken))

    def close(self) -> None:
        """Also before it serves: then the other goes on."""
        if self._channel is not None:
            self._channel.close()
        if self._lock is not None:
            os.close(self._lock)
        self._channel = self._lock = None

    def _asked(self, *, inherit: bool = True) -> Channel | None:
        """A channel to who serves, its sockets ours as well; None where nobody serves."""
        end = time.monotonic() + _AGAIN_S_MAX
        while (connected := self._place.connect()) is not None:
            channel = Channel(connected)
            try:
                self._get_sockets(channel, inherit=inherit)
                return channel
            except Broken as broken:
                channel.close()
                self._broken_off(broken, end)
            except BaseException:
                channel.close()
                raise
        return None

    def _get_sockets(self, channel: Channel, *, inherit: bool) -> None:
        """Raises Broken, and as `ask`."""
        if not channel.is_ours():
            raise ConfigError(f"[handover] folder {self._place.folder}: another user's process serves there")
        channel.say(Ask(speaks=SPEAKS, build=build(), pid=os.getpid()))
        answer = channel.hear(Offer, Refusal, seconds=_ANSWER_S_MAX)
        if isinstance(answer, Refusal):
            raise Stop(f"who serves does not hand over ({answer.why}): stop it, then start this one")
        if len(answer.sockets) != len(channel.descriptors):
            raise Broken("sockets are missing")
        self._agree(answer)
        structlog.get_logger().info(
            "handover_offered", build=answer.build, pid=answer.pid, sockets=[one.name for one in answer.sockets]
        )
        if inherit:
            descriptors, channel.descriptors = channel.descriptors, []
            self._ports.inherit(answer.sockets, descriptors)

    def _agree(self, offer: Offer) -> None:
        for name, theirs in offer.facts.items():
            ours = self._facts.get(name, theirs)
            if ours != theirs:
                raise ConfigError(
                    f"process {offer.pid} (version {offer.build}) serves with {name} {theirs or 'not set'}, and this "
                    f"configuration has {ours or 'not set'}: that cannot be handed over; stop that process, then start "
                    "this one"
                )

    def _broken_off(self, broken: Broken, end: float) -> None:
        """Waits a moment. Raises Stop where that was long enough."""
        structlog.get_logger().warning("handover_broken_off", reason=str(broken))
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if time.monotonic() > end:
            raise Stop(f"who serves does not hand over ({broken}): look at its log, and start this one again")
        time.sleep(_PAUSE_S)

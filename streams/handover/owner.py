"""The older side: offers this process's sockets to whoever comes, and goes on where nothing comes of it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from typing import Final

import structlog

from streams.generation import build
from streams.handover.messages import SPEAKS, Ask, Broken, Channel, Done, Offer, Ready, Refusal, Serving, Yours
from streams.ports import Ports

# The newer one has everything ready when it asks: it opens what ports it has besides, no more.
_READY_S_MAX: Final = 30.0
# Nobody takes connections in this time: they wait in their queues.
_SERVING_S_MAX: Final = 10.0


class Owner:
    """Offers from construction to `close`, in a thread of its own. `gone` is called once when another process serves.

    One after another may ask. Until one of them serves, whatever becomes of it, this process goes on as before.
    """

    def __init__(
        self, listening: socket.socket, ports: Ports, facts: Mapping[str, str], gone: Callable[[], None]
    ) -> None:
        self._listening = listening
        self._ports = ports
        self._facts = facts
        self._gone = gone
        self._lock = threading.Lock()
        self._asking: Channel | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="handover", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Offers nothing more. Who has the sockets by now finds that nobody serves, and serves."""
        with self._lock:
            self._closed = True
            with suppress(OSError):
                self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
            if self._asking is not None:
                self._asking.close()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        log = structlog.get_logger()
        while (channel := self._next()) is not None:
            with closing(channel):
                try:
                    if self._handed_over(channel):
                        self._gone()
                        return
                except Broken as broken:
                    log.warning("handover_broken_off", reason=str(broken))
                except Exception:
                    # Nobody planned this one. It ends one conversation; the next may ask.
                    log.error("handover_failed", exc_info=True)

    def _next(self) -> Channel | None:
        """The next that asks; None once closed."""
        while True:
            try:
                connected, _ = self._listening.accept()
            except OSError:
                return None
            with self._lock:
                if self._closed:
                    connected.close()
                    return None
                self._asking = Channel(connected)
                return self._asking

    def _handed_over(self, channel: Channel) -> bool:
        """Whether the other serves now. Raises Broken where it does not, though it asked."""
        log = structlog.get_logger()
        if not channel.is_ours():
            log.warning("handover_refused", reason="it is another user's process")
            return False
        try:
            asked = channel.hear(Ask, seconds=_READY_S_MAX)
        except Broken:
            return False  # Somebody only looked whether we are here.
        common = [number for number in SPEAKS if number in asked.speaks]
        if not common:
            channel.say(Refusal(why=f"version {build()} hands over in versions {list(SPEAKS)} of the protocol"))
            log.warning("handover_refused", reason="no common version of the protocol", build=asked.build)
            return False
        ports = self._ports.open_now()
        offer = Offer(
            speaks=max(common),
            build=build(),
            pid=os.getpid(),
            sockets=tuple(port.offered for port in ports),
            facts=self._facts,
        )
        log.info("handover_asked", build=asked.build, pid=asked.pid)
        channel.say(offer, [port.descriptor for port in ports])
        channel.hear(Ready, seconds=_READY_S_MAX)
        self._let_go(channel)
        log.info("handed_over", build=asked.build, pid=asked.pid)
        return True

    def _let_go(self, channel: Channel) -> None:
        """Raises Broken, and takes connections again, where the other does not."""
        try:
            self._ports.pause()
            channel.say(Yours())
            channel.hear(Serving, seconds=_SERVING_S_MAX)
            channel.say(Done())
        except BaseException:
            self._ports.resume()
            raise

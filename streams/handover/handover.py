"""How a process of a service comes to serve, and how it lets go: the steps, in their order.

    begin     at its start: where nobody serves, it is this one from now on, whatever is not ready yet
    ask       once all is ready but the ports: the sockets of who serves, else none
    take      once all ports are open: who served takes no connections any more
    serving   once this one takes connections: who served ends, and this one is who others ask

Where the configuration has no [handover], all of it is nothing but opening the ports.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

import structlog

from streams.config import Config, Section
from streams.handover.newcomer import Newcomer
from streams.handover.owner import Owner
from streams.handover.place import Place
from streams.ports import Ports

SECTION: Final = "handover"


class Settings(Section, frozen=True, kw_only=True):
    """[handover]: services that have ports for others hand them to a newer process of theirs.

    `folder` is the same for both, on one machine, and of mode 700.
    """

    folder: Path


@dataclass(frozen=True)
class Front:
    """What tells processes of a service on one machine apart (`port`), and what one that takes over has to agree in."""

    port: int
    facts: Mapping[str, str]


class Beside(Protocol):
    """What serves beside the service itself: its metrics and health."""

    def open(self) -> None:
        """Raises ConfigError."""

    def start(self) -> None: ...


def place_of(config: Config, name: str, front: Front | None) -> Place | None:
    """Where processes of this service meet; None where they do not. Raises ConfigError."""
    if front is None or SECTION not in config.names:
        return None
    return Place(config.section(SECTION, Settings).folder, f"{name}-{front.port}")


class Handover:
    """Used by the main thread. `stopping` is set once another process serves; `done` says that this is why.

    `ports` are those that are handed over, the service's and what serves `beside` it.
    """

    def __init__(
        self,
        stopping: threading.Event,
        place: Place | None = None,
        facts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.ports = Ports()
        self.done = False
        self._stopping = stopping
        self._place = place
        self._facts = facts
        self._beside: Beside | None = None
        self._newcomer = None if place is None else Newcomer(place, self.ports, facts)
        self._owner: Owner | None = None
        self._is_first = False

    def begin(self, beside: Beside) -> None:
        """Raises ConfigError, Stop."""
        self._beside = beside
        if self._place is None:
            beside.open()
            beside.start()
            return
        lock = self._place.lock(self._stopping)
        if lock is None:
            return
        try:
            if not self._place.is_served():
                self._is_first = True
                beside.open()
                beside.start()
                self._offer(self._place)
        finally:
            os.close(lock)

    def ask(self) -> bool:
        """False where the service is to stop. Raises ConfigError, Stop."""
        if self._newcomer is None or self._is_first:
            return True
        if not self._newcomer.ask(self._stopping):
            return False
        if self._beside is not None:
            self._beside.open()
        return True

    def take(self) -> None:
        """Raises ConfigError, Stop."""
        if self._newcomer is not None:
            self._newcomer.take()

    def serving(self) -> None:
        """Raises Stop where who served serves again."""
        self.ports.forget()
        if self._place is None or self._newcomer is None or self._is_first:
            return
        if self._beside is not None:
            self._beside.start()
        self._newcomer.serving()
        self._offer(self._place)
        self._newcomer.close()

    def close(self) -> None:
        """Offers nothing more. Before `serving`: who served goes on."""
        if self._owner is not None:
            self._owner.close()
        if self._newcomer is not None:
            self._newcomer.close()
        self.ports.forget()

    def _offer(self, place: Place) -> None:
        try:
            listening = place.listen()
        except OSError as error:
            # It serves all the same. The next one will say that its port is taken.
            structlog.get_logger().error("handover_not_offered", error=error, errno=error.errno)
            return
        self._owner = Owner(listening, self.ports, self._facts, self._gone)

    def _gone(self) -> None:
        self.done = True
        self._stopping.set()

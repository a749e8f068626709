"""The doors beside DIMSE, where a site has them: STOW-RS and a watched folder."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from producers.dicom_router.arrival import Arrival
from producers.dicom_router.config import Settings
from producers.dicom_router.data_set import Room
from producers.dicom_router.incoming_file import Door
from producers.dicom_router.stow.listening import StowListener
from producers.dicom_router.watch.watching import Watch
from streams.admission import Shared
from streams.clock import Clock
from streams.peers.refusals import Refusals
from streams.ports import Ports


class Doors:
    """Open from `start` to `close`. `store` gives a C-STORE's status. Raises ConfigError for what cannot be had."""

    def __init__(
        self,
        settings: Settings,
        store: Callable[[Arrival], int],
        refusals: Refusals,
        clock: Clock,
        room: Room,
        ports: Ports | None = None,
        shared: Shared | None = None,
    ) -> None:
        self._stop_timeout_s = settings.stop_timeout_s
        self.stow: StowListener | None = None
        self.watch: Watch | None = None
        if settings.stow is not None:
            door = Door("STOW-RS", settings.stow.calling_ae, settings.ae_title, room)
            self.stow = StowListener(settings.stow, door, store, refusals, clock, ports, shared)
        if settings.watch is not None:
            door = Door("folder", settings.watch.calling_ae, settings.ae_title, room)
            self.watch = Watch(settings.watch, door, store, clock)

    def start(self) -> None:
        if self.stow is not None:
            self.stow.start()
            structlog.get_logger().info("stow_listening", port=self.stow.port)
        if self.watch is not None:
            self.watch.start()

    def close(self) -> None:
        """Nothing more comes in; what is in hand goes on until `stop`."""
        if self.stow is not None:
            self.stow.close()
        if self.watch is not None:
            self.watch.close()

    def stop(self, *, gently: bool = False) -> None:
        """Closes, and waits for what is in hand; `gently`, also for what connections are about to bring."""
        if self.stow is not None:
            self.stow.stop(self._stop_timeout_s, gently=gently)
        if self.watch is not None:
            self.watch.stop()

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
from streams.clock import Clock


class Doors:
    """Open from construction to `stop`. `store` gives a C-STORE's status. Raises ConfigError for what cannot be had."""

    def __init__(self, settings: Settings, store: Callable[[Arrival], int], clock: Clock, room: Room) -> None:
        self._stop_timeout_s = settings.stop_timeout_s
        self.stow: StowListener | None = None
        self.watch: Watch | None = None
        if settings.stow is not None:
            door = Door("STOW-RS", settings.stow.calling_ae, settings.ae_title, room)
            self.stow = StowListener(settings.stow, door, store)
            structlog.get_logger().info("stow_listening", host=settings.stow.host, port=self.stow.port)
        if settings.watch is not None:
            door = Door("folder", settings.watch.calling_ae, settings.ae_title, room)
            self.watch = Watch(settings.watch, door, store, clock)

    def close(self) -> None:
        """Nothing more comes in; what is in hand goes on until `stop`."""
        if self.stow is not None:
            self.stow.close()
        if self.watch is not None:
            self.watch.close()

    def stop(self) -> None:
        """Closes, and waits for what is in hand."""
        if self.stow is not None:
            self.stow.stop(self._stop_timeout_s)
        if self.watch is not None:
            self.watch.stop()

"""Where a data set goes that nobody reads: that of a response to us."""

from __future__ import annotations

from typing import Final

_BYTES: Final = 65_536


class LetGo:
    """Implements `messages.Sink`."""

    def room(self, length: int) -> memoryview:
        return memoryview(bytearray(min(length, _BYTES)))

    def filled(self, count: int) -> None:
        """Nothing is kept."""

    def abandon(self) -> None:
        """Nothing was kept."""

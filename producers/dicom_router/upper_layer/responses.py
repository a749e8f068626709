"""What a response to us stands for among operations: nobody answers it, and nobody reads its data set."""

from __future__ import annotations

from typing import Final

_LET_GO_BYTES: Final = 65_536


class _LetGo:
    """Implements `messages.Sink`."""

    def room(self, length: int) -> memoryview:
        return memoryview(bytearray(min(length, _LET_GO_BYTES)))

    def filled(self, count: int) -> None:
        """Nothing is kept."""

    def abandon(self) -> None:
        """Nothing was kept."""


class _Response:
    """Implements `messages.Operation`."""

    response: Final = 0

    def sink(self, request: object) -> _LetGo:
        return _LetGo()

    def answer(self, request: object, sink: object) -> int:
        raise NotImplementedError


TO_US: Final = _Response()

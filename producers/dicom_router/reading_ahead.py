"""Reading an association further while operations of it go on: how many, in which memory, in which threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from producers.dicom_router.object_buffer import BufferPool
from producers.dicom_router.workers import Workers


@dataclass(frozen=True)
class ReadingAhead:
    """Implements `upper_layer.window.Ahead`, for all associations together.

    What is read ahead counts into the memory that objects share, and this bounds its threads, too: an association has
    one operation, and all of them have no more beyond that than half of the memory holds at 768 KiB for each.
    """

    operations_max: int
    memory: BufferPool
    workers: Workers

    def take(self) -> bool:
        return self.memory.take_ahead()

    def give_back(self) -> None:
        self.memory.give_back_ahead()

    def run(self, work: Callable[[], None]) -> None:
        self.workers.run(work)

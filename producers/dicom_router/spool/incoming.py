"""What a spool is asked to keep, and that it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from producers.dicom_router.spool.record import Kept
from producers.dicom_router.spool.segment import Buffer


class NotSpooled(Exception):
    """The spool does not take it; nothing of it stays. `reason` is a sentence without patient data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Incoming:
    """What is to be kept: the file that is `parts` together, and its SHA-256. `in_page` is where in a page of memory
    it begins, for one part that is mapped."""

    kept: Kept
    received_ms: int
    digest: bytes
    parts: Sequence[Buffer]
    in_page: int | None = None

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(map(len, self.parts))

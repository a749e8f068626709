"""What an association is given: its times and sizes, and a place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from producers.dicom_router.upper_layer.associate_rq import Requested
from producers.dicom_router.upper_layer.messages import Pace
from producers.dicom_router.upper_layer.pdu import Rejection


@dataclass(frozen=True)
class Limits:
    """Times in seconds: to set an association up, without a message, and for the whole of it."""

    set_up_s: float
    pace: Pace
    association_s: float
    pdu_bytes_max: int


class Place(Protocol):
    """Room for one association, and the right to it."""

    def take(self, requested: Requested) -> Rejection | None:
        """How the association is rejected, or nothing. Asked once, when the peer has said what it wants."""

    def give_back(self) -> None:
        """Told before our last word, so that a peer that hears it finds the room."""

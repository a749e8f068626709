"""What can be set in [router]."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from producers.dicom_router.stow.config import Settings as Stow
from producers.dicom_router.titles import AeTitle
from producers.dicom_router.watch.config import Settings as Watched
from schemas import Lane
from streams.config import Service


class Settings(Service, frozen=True, kw_only=True):
    """`lanes` maps a calling AE title to the lane of what it sends; all others travel in 'routine'.

    `object_bytes_max` bounds memory: pynetdicom holds each object whole, and a few copies of it.
    """

    port: Annotated[int, Meta(ge=0, le=65535)]
    host: str = "127.0.0.1"
    ae_title: AeTitle = "RADSTREAM"
    lanes: Mapping[AeTitle, Lane] = msgspec.field(default_factory=dict)
    associations_max: Annotated[int, Meta(ge=1)] = 64
    # What a sender may put into one P-DATA-TF; the larger, the fewer system calls for each object (PS3.8 annex D.1).
    pdu_bytes_max: Annotated[int, Meta(ge=4096, le=1 << 20)] = 131_072
    object_bytes_max: Annotated[int, Meta(ge=1 << 20)] = 1 << 30
    commit_timeout_s: Annotated[float, Meta(gt=0)] = 30.0
    # A peer that is silent for so long loses its association.
    idle_timeout_s: Annotated[float, Meta(gt=0)] = 60.0
    stow: Stow | None = None
    watch: Watched | None = None
    # How long associations may go on after SIGTERM.
    stop_timeout_s: Annotated[float, Meta(ge=0)] = 20.0

    def lanes_digest(self) -> str:
        """SHA-256 (hex) of what affects the events: the lanes, and nothing else here."""
        return hashlib.sha256(msgspec.json.encode(self.lanes, order="deterministic")).hexdigest()

"""What the router believes now (`streams.peers.trust`), with the exceptions of STOW-RS among what ends."""

from __future__ import annotations

from typing import Final

from producers.dicom_router.config import Settings
from producers.dicom_router.trust.ends import ends_of_stow
from streams.clock import Clock
from streams.health import Health
from streams.peers.trust import Trust

SECTION: Final = "router.tls"


def trust_of(settings: Settings, health: Health, clock: Clock) -> Trust:
    """Raises ConfigError for files that cannot be used."""
    return Trust(SECTION, settings.peers, settings.tls, health, clock, lambda: ends_of_stow(settings.stow))

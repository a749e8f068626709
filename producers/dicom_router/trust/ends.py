"""What ends of the router beside its peers: the exceptions from TLS in [router.stow]."""

from __future__ import annotations

from collections.abc import Iterator

from producers.dicom_router.stow.config import Settings as Stow
from streams.peers.ends import end_of
from streams.tls.ends import End


def ends_of_stow(settings: Stow | None) -> Iterator[End]:
    for plain in settings.exceptions if settings else ():
        yield end_of(plain, f"{plain.address} in [router.stow]")

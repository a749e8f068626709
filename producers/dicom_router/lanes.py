"""The lane that an application entity's instances travel in: what the peers file says, [router] lanes, or routine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import msgspec

from schemas import Lane


class Lanes:
    """Used from any thread. `of_peers` is asked each time: the peers file may change."""

    def __init__(
        self, configured: Mapping[str, Lane], of_peers: Callable[[], Mapping[str, Lane]] = dict[str, Lane]
    ) -> None:
        self._configured = configured
        self._of_peers = of_peers
        self._known: tuple[Mapping[str, Lane], str] = ({}, _digest(configured))

    def of(self, calling_ae: str) -> Lane:
        return self._of_peers().get(calling_ae) or self._configured.get(calling_ae, "routine")

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all of them: of what is set, it alone affects the events."""
        now = self._of_peers()
        of, digest = self._known
        if of != now:
            digest = _digest({**self._configured, **now})
            self._known = now, digest
        return digest


def _digest(lanes: Mapping[str, Lane]) -> str:
    return hashlib.sha256(msgspec.json.encode(lanes, order="deterministic")).hexdigest()

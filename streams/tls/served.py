"""Our side of TLS of a service that listens: its files are read again when they change, and what ends is said."""

from __future__ import annotations

import ssl

from streams import metrics
from streams.clock import Clock
from streams.gauges import Board
from streams.health import Health
from streams.tls.ends import ends_of_ours, first_of_each, soon
from streams.tls.files import Files
from streams.tls.ours import Ours, as_server
from streams.watched import Watched


class Served:
    """`look` is called about once a second, from one thread; `context` from any. A connection keeps what it began with.

    `files` have absolute paths; `section` is where the configuration names them, without its brackets.
    """

    def __init__(self, files: Files, section: str, health: Health, clock: Clock) -> None:
        """Raises ConfigError for files that cannot be used."""
        self._section, self._health, self._clock, self._board = section, health, clock, Board()
        self._ours: Watched[Ours] = Watched("tls", files.files, lambda: as_server(files, section))
        self._tell()

    def context(self) -> ssl.SSLContext:
        """For the next connection."""
        return self._ours.value.context

    def look(self) -> None:
        self._ours.look()
        self._tell()

    def _tell(self) -> None:
        problem, now = self._ours.problem, self._clock.now()
        self._health.warn("tls", f"{problem}; what was read before stays in force" if problem else "")
        ends = list(ends_of_ours(self._ours.value.ends_at.items(), self._section))
        self._board.show(metrics.TRUST_DAYS_LEFT, first_of_each(ends, now))
        self._health.warn("ends", soon(ends, now, "radstream doctor"))

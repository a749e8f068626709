"""Our side of TLS of a service that listens, and the file that says who may come to it.

Both are read again when they change; what of them is broken, and what ends soon, is told.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from typing import Any

from streams import metrics
from streams.clock import Clock
from streams.gauges import Board
from streams.health import Health
from streams.tls.ends import End, ends_of_ours, first_of_each, soon
from streams.tls.files import Files
from streams.tls.ours import Ours, as_server
from streams.watched import Watched


class Served:
    """`look` is called about once a second, from one thread; `context` from any. A connection keeps what it began with.

    `files` have absolute paths, and are None where there is no TLS; `section` is where the configuration names them,
    without its brackets. `who` says who may come, `ends` what of that ends.
    """

    def __init__(
        self,
        section: str,
        files: Files | None,
        health: Health,
        clock: Clock,
        who: Watched[Any] | None = None,
        ends: Callable[[], Iterable[End]] = tuple,
    ) -> None:
        """Raises ConfigError for files that cannot be used."""
        self._section, self._health, self._clock, self._board = section, health, clock, Board()
        self._who, self._ends_of_who = who, ends
        self._ours: Watched[Ours] | None = None
        if files is not None:
            self._ours = Watched("tls", files.files, lambda: as_server(files, section))
        self._tell()

    @property
    def context(self) -> ssl.SSLContext | None:
        """For the next connection."""
        return None if self._ours is None else self._ours.value.context

    def look(self) -> None:
        for watched in self._watched():
            watched.look()
        self._tell()

    def _watched(self) -> list[Watched[Any]]:
        return [one for one in (self._who, self._ours) if one is not None]

    def _tell(self) -> None:
        for watched in self._watched():
            problem = watched.problem
            self._health.warn(watched.name, f"{problem}; what was read before stays in force" if problem else "")
        now, ends = self._clock.now(), list(self._ends_of_who())
        if self._ours is not None:
            ends += ends_of_ours(self._ours.value.ends_at.items(), self._section)
        self._board.show(metrics.TRUST_DAYS_LEFT, first_of_each(self._section, ends, now))
        self._health.warn("ends", soon(ends, now, "radstream doctor"))

"""Threads of a fault test that work until they are told to stop, and whose failure is that of whoever watches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable


class Threads:
    """They run from `start` to `stop`. `who` is what one of them is called."""

    def __init__(self, who: str) -> None:
        self.stopping = threading.Event()
        self._who = who
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []

    def start(self, works: Iterable[Callable[[], None]]) -> None:
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=f"{self._who}-{number}")
            for number, work in enumerate(works)
        ]
        for thread in self._threads:
            thread.start()

    def pause(self, seconds: float) -> None:
        """Lets them work for so long. Fails where one of them failed."""
        self.stopping.wait(seconds)
        self.check()

    def check(self) -> None:
        if self._failures:
            raise AssertionError(f"a {self._who} failed") from self._failures[0]

    def stop(self) -> None:
        """Each finishes what is under way."""
        self.stopping.set()
        for thread in self._threads:
            thread.join()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is raised again by whoever watches
            self._failures.append(error)
            self.stopping.set()

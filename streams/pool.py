"""Threads that do work and say when it is done. They are daemons: one that hangs cannot keep a process from ending."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

A = TypeVar("A")
R = TypeVar("R")


class Pool(Generic[A, R]):
    """`report` is called in the worker's thread with the task and what `work` returned, or what it raised."""

    def __init__(
        self, name: str, threads: int, work: Callable[[A], R], report: Callable[[A, R | BaseException], None]
    ) -> None:
        self._work = work
        self._report = report
        self._tasks: SimpleQueue[A | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, name=f"{name}-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, task: A) -> None:
        self._tasks.put(task)

    def close(self) -> None:
        """Lets the threads end after what they have in hand, without waiting for it."""
        for _ in self._threads:
            self._tasks.put(None)

    def _serve(self) -> None:
        while (task := self._tasks.get()) is not None:
            result: R | BaseException
            try:
                result = self._work(task)
            except BaseException as error:  # noqa: BLE001 - reported, and raised by whoever reads the report
                result = error
            self._report(task, result)

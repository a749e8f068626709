"""CPU and memory of processes and of all they start, while something runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLE_S = 1.0


@dataclass(frozen=True)
class Usage:
    """`memory_bytes_max` is the highest sum of proportional set sizes (PSS: shared pages count once) that was seen."""

    cpu_s: float
    memory_bytes_max: int


class Meter:
    """Measures the trees of processes below `roots` (name to process id) from `started` to its end.

    Children that end in between count: their parent's waited-for times have them.
    """

    def __init__(self, roots: Mapping[str, int], sample_s: float = SAMPLE_S) -> None:
        self._sample_s = sample_s
        self._roots = {name: psutil.Process(pid) for name, pid in roots.items()}
        self._before: dict[str, float] = {}
        self._memory = dict.fromkeys(roots, 0)
        self._ended = threading.Event()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        self._before = {name: _cpu_s(root) for name, root in self._roots.items()}
        sampler = threading.Thread(target=self._sample, daemon=True)
        sampler.start()
        try:
            yield
        finally:
            self._ended.set()
            sampler.join()

    def usage(self) -> dict[str, Usage]:
        """Since `running` began, by name. A process that ended meanwhile is left out."""
        found = {}
        for name, root in self._roots.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                found[name] = Usage(_cpu_s(root) - self._before[name], self._memory[name])
        return found

    def _sample(self) -> None:
        while True:
            for name, root in self._roots.items():
                self._memory[name] = max(self._memory[name], sum(map(_pss, _tree(root))))
            if self._ended.wait(self._sample_s):
                return


def _tree(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _cpu_s(root: psutil.Process) -> float:
    """User and system time of the living, and of the dead that a living one waited for (getrusage(2))."""
    total = sum(root.cpu_times()[:4])
    for child in root.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(child.cpu_times()[:4])
    return total


def _pss(process: psutil.Process) -> int:
    """Bytes (proc(5), smaps_rollup); the resident set where this user may not see more; 0 where it has ended."""
    try:
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ProcessLookupError):
        with contextlib.suppress(psutil.Error):
            return int(process.memory_info().rss)
    return 0

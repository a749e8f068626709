"""Judges many files in processes of their own: a file that ends or blocks its process costs that file alone."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Final, Literal

import msgspec

from consumers.validate import rules
from consumers.validate.config import Limits
from consumers.validate.judging import Verdict, judged, too_large
from consumers.validate.levels import Facts, Levels
from radstream.errors import Failure
from streams.events import Finding
from streams.sandbox.away import HelperAway

# Of one file, once its process is up. Reading 4 GiB from a slow disk takes a while; judging takes milliseconds.
SECONDS_MAX: Final = 120.0
_STOPPING_S_MAX: Final = 2.0
NO_LEVELS: Final = Levels()


class FileVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """`code` and `detail` say why a file is quarantined, or was not read; a detail has no value of the file in it."""

    file: str
    verdict: Literal["accepted", "accepted with findings", "quarantined", "not read"]
    code: str | None = None
    detail: str | None = None
    findings: tuple[Finding, ...] = ()


Judge = Callable[[Path, Limits], FileVerdict]


def listed(paths: Iterable[Path]) -> tuple[list[Path], list[FileVerdict]]:
    """Each file named and every file below each folder named, once, in order of name; and folders that do not open."""
    found: dict[Path, None] = {}
    unread: list[FileVerdict] = []

    def refused(error: OSError) -> None:
        unread.append(_not_read(Path(str(error.filename)), "unreadable_path", error.strerror or "it does not open"))

    for path in paths:
        if not path.is_dir():
            found[path] = None
            continue
        below = [Path(folder, name) for folder, _, names in os.walk(path, onerror=refused) for name in names]
        # A pipe or a socket has no end that could be waited for.
        found.update(dict.fromkeys(sorted(file for file in below if file.is_file())))
    return list(found), unread


def judge_path(
    path: Path, limits: Limits, levels: Levels = NO_LEVELS, site: str | None = None, calling_ae: str | None = None
) -> FileVerdict:
    """What the validate step would say of a file, had it come to `site` from `calling_ae`."""
    try:
        held = too_large(path.stat().st_size, limits)
        data = b"" if held else path.read_bytes()
    except OSError as error:
        return _not_read(path, "unreadable_path", error.strerror or "it does not open")
    try:
        verdict = Verdict(held) if held else judged(data, limits, datetime.now(UTC))
    except HelperAway as error:
        return _not_read(path, "no_decoder", f"It was not judged: {error}.")
    facts = Facts(calling_ae=calling_ae, sop_class=verdict.sop_class, modality=verdict.modality, site=site)
    findings = rules.at_site(verdict.findings, levels.of(facts))
    if verdict.held:
        code, detail = verdict.held.code, verdict.held.detail
        return FileVerdict(file=str(path), verdict="quarantined", code=code, detail=detail, findings=findings)
    return FileVerdict(file=str(path), verdict="accepted with findings" if findings else "accepted", findings=findings)


def _not_read(path: Path, code: str, detail: str) -> FileVerdict:
    return FileVerdict(file=str(path), verdict="not read", code=code, detail=detail)


def judged_files(
    paths: Sequence[Path],
    limits: Limits,
    jobs: int,
    *,
    judge: Judge = judge_path,
    seconds_max: float = SECONDS_MAX,
) -> Iterator[FileVerdict]:
    """A verdict for each file, as they come. Raises Failure where a process cannot be started."""
    waiting = list(reversed(paths))
    workers = [_Worker(judge, limits) for _ in range(min(jobs, len(paths)))]
    try:
        while workers:
            for worker in [one for one in workers if one.is_idle]:
                if waiting:
                    worker.give(waiting.pop(), seconds_max)
                else:
                    worker.stop()
                    workers.remove(worker)
            _wait_for(workers)
            for number, worker in enumerate(workers):
                verdict = worker.verdict()
                if verdict is not None:
                    yield verdict
                if worker.is_dead:
                    worker.stop()
                    workers[number] = _Worker(judge, limits)
    finally:
        for worker in workers:
            worker.stop()


def _wait_for(workers: Sequence[_Worker]) -> None:
    if not workers:
        return
    soonest_s = min(worker.due_at for worker in workers) - time.monotonic()
    wait([worker.connection for worker in workers], timeout=min(max(soonest_s, 0.0), 60.0))


class _Worker:
    """A process that judges one file after another, and what it is at."""

    def __init__(self, judge: Judge, limits: Limits) -> None:
        # Threads of this process, such as a progress bar's, must not be forked; and what is forked has imported all.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self.connection, its_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(its_end, judge, limits), daemon=True)
        self._process.start()
        its_end.close()
        self._path: Path | None = None
        self._seconds_max = 0.0
        self._is_up = False
        self.is_dead = False
        self.due_at = float("inf")

    @property
    def is_idle(self) -> bool:
        return self._is_up and self._path is None

    def give(self, path: Path, seconds_max: float) -> None:
        self._path, self._seconds_max = path, seconds_max
        self.due_at = time.monotonic() + seconds_max
        # Where it is dead, whoever asks for the verdict hears of it.
        with suppress(OSError):
            self.connection.send(path)

    def verdict(self) -> FileVerdict | None:
        """Of the file that it was given, if it is there by now, or the process is not. Raises Failure."""
        try:
            said = self.connection.recv() if self.connection.poll() else None
        except (EOFError, OSError):
            return self._died()
        if said is None:
            return self._hung() if time.monotonic() >= self.due_at else None
        self.due_at = float("inf")
        if not self._is_up:
            self._is_up = True
            return None
        self._path = None
        verdict: FileVerdict = said
        return verdict

    def _died(self) -> FileVerdict:
        self._process.join(_STOPPING_S_MAX)
        if self._path is None:
            raise Failure("a process that judges files ended before it began; is there memory for --jobs so many?")
        self.is_dead = True
        return _not_read(self._path, "crashed", f"The process that judged it ended with {self._process.exitcode}.")

    def _hung(self) -> FileVerdict | None:
        if self._path is None:
            return None
        self.is_dead = True
        return _not_read(self._path, "timeout", f"Judging it took more than {self._seconds_max:g} seconds.")

    def stop(self) -> None:
        self.connection.close()
        self._process.kill()
        self._process.join()


def _serve(connection: Connection, judge: Judge, limits: Limits) -> None:
    """The process: says that it is up, then a verdict for each path."""
    try:
        connection.send(True)
        while True:
            connection.send(judge(connection.recv(), limits))
    except (EOFError, OSError, KeyboardInterrupt):
        return

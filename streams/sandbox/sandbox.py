"""A few helper processes, started as they are needed, and begun anew after a crash or a number of frames."""

from __future__ import annotations

import atexit
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from queue import Empty, LifoQueue

import structlog

from streams import metrics
from streams.pixels import claims
from streams.pixels.claims import Pixels, Undecodable
from streams.pixels.image import Image
from streams.sandbox.away import HelperAway
from streams.sandbox.helper import Died, Helper

# What a decoder takes beside the frame: JPEG 2000 has each sample as 32 bits, twice, beside its code blocks.
_MEMORY_BYTES, _MEMORY_OF_FRAME = 24 << 20, 8
# The slowest, JPEG 2000 of noise, makes 3.5 MB of pixels a second on one core.
_CPU_S, _CPU_S_OF_BYTE = 0.5, 1 / (2 << 20)


@dataclass(frozen=True)
class Settings:
    """`memory_bytes_max` is what any one frame may take, beside the 30 MB of a helper at rest."""

    helpers: int = 2
    frames_max: int = 2_000
    memory_bytes_max: int = 1 << 30
    cpu_s_max: float = 30.0


class Sandbox:
    """Decodes for all threads of a process. A thread waits where every helper is at work."""

    def __init__(self, settings: Settings = Settings()) -> None:
        self._settings = settings
        self._free: LifoQueue[Helper | None] = LifoQueue()
        for _ in range(settings.helpers):
            self._free.put(None)
        # A helper dies with the thread that started it (prctl(2), PR_SET_PDEATHSIG): so it is one that stays.
        self._starter = ThreadPoolExecutor(1, "sandbox")

    def decode(self, codestream: bytes, image: Image) -> Pixels:
        """One frame, as `streams.pixels.codecs.decode` has it.

        Raises Undecodable: its code says whether the frame is at fault (`undecodable`), or what became of the decoder
        (`decoder_crashed`, `decoder_too_slow`, `decoder_too_large`, `decoder_absent`). Raises HelperAway where this
        machine has no process for it.
        """
        claims.check(codestream, image)
        try:
            return self._decoded(codestream, image, self._cost(codestream, image))
        except OSError as error:
            raise HelperAway(f"no decoder's helper can be had: {error.strerror or error}") from error

    def _decoded(self, codestream: bytes, image: Image, cost: tuple[int, float]) -> Pixels:
        """Raises OSError, too."""
        helper = self._free.get()
        try:
            is_fresh = helper is None
            helper = helper or self._started()
            try:
                return helper.decode(codestream, image, *cost)
            except Died as death:
                _counted(death)
                if is_fresh or death.reason == "decoder_too_slow":
                    raise Undecodable("its helper died", death.reason) from None
            # A frame before this one may have broken that helper: whether this one does, a new one shows.
            helper = self._started()
            try:
                return helper.decode(codestream, image, *cost)
            except Died as death:
                _counted(death)
                raise Undecodable("its helper died", death.reason) from None
        finally:
            self._free.put(self._kept(helper))

    def _cost(self, codestream: bytes, image: Image) -> tuple[int, float]:
        """Bytes and seconds of the processor that this frame may take."""
        memory_bytes = _MEMORY_BYTES + _MEMORY_OF_FRAME * image.frame_bytes + 2 * len(codestream)
        cpu_s = _CPU_S + image.frame_bytes * _CPU_S_OF_BYTE
        return min(memory_bytes, self._settings.memory_bytes_max), min(cpu_s, self._settings.cpu_s_max)

    def _kept(self, helper: Helper | None) -> Helper | None:
        if helper is not None and helper.frames >= self._settings.frames_max:
            helper.close()
        return None if helper is None or helper.is_gone else helper

    def _started(self) -> Helper:
        helper = self._starter.submit(Helper, self._settings.memory_bytes_max).result()
        if helper.unheld:
            _say_unheld(helper.unheld)
        return helper

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the helpers that are not at work, for those who measure or end them."""
        return tuple(helper.pid for helper in list(self._free.queue) if helper is not None)

    def close(self) -> None:
        """Ends every helper that is not at work, and starts none any more; one that is ends with this process."""
        self._starter.shutdown()
        for _ in range(self._settings.helpers):
            with suppress(Empty):
                helper = self._free.get_nowait()
                if helper is not None:
                    helper.close()


def _counted(death: Died) -> None:
    metrics.SANDBOX_DEATHS.labels(death.reason).inc()
    structlog.get_logger().warning("decoder_died", reason=death.reason)


@lru_cache
def _say_unheld(unheld: tuple[str, ...]) -> None:
    """Once: where this kernel or container does not let a helper be held."""
    structlog.get_logger().warning("sandbox_not_whole", not_held=list(unheld))


# Without it two threads that are first would have two, each with as many helpers as there may be.
_FIRST = threading.Lock()


def shared() -> Sandbox:
    """The one of this process, ended with it."""
    with _FIRST:
        return _shared()


@lru_cache
def _shared() -> Sandbox:
    sandbox = Sandbox(Settings(helpers=min(4, os.cpu_count() or 1)))
    atexit.register(sandbox.close)
    return sandbox

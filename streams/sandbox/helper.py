"""One helper process, seen from the service that started it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import Final, Literal

import numpy as np

from streams.pixels.claims import Pixels, Undecodable
from streams.pixels.image import Image
from streams.sandbox.messages import ANSWER, DTYPES, READY, REQUEST, STATUSES, UNHELD, described, received

Death = Literal["decoder_crashed", "decoder_too_slow"]

_START_S: Final = 60.0
# A helper that waits for the processor is not slow: the deadline on the wall is for one that waits for nothing.
_WALL_S, _WALL_OF_CPU = 10.0, 5.0
# Its end takes this long to show where it has begun.
_DYING_S: Final = 0.1
# Kept between frames: larger ones give their memory back.
_KEPT_BYTES: Final = 16 << 20
# No threads that a decoder does not need, and memory of one frame is used for the next: a fresh page costs as much as
# what is written to it.
_SET: Final = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(32 << 20),
}
_PASSED_ON: Final = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "DCMDICTPATH")


class Died(Exception):
    """The process is gone. `reason` is what its frame costs: nothing but itself."""

    def __init__(self, reason: Death) -> None:
        super().__init__(reason)
        self.reason: Death = reason


class Helper:
    """A process and the memory that is shared with it. One thread at a time. Raises OSError where none starts."""

    def __init__(self, bytes_max: int) -> None:
        self.frames = 0
        self.is_gone = False
        self._memory = os.memfd_create("frame")
        try:
            self._channel, theirs = socket.socketpair()
        except OSError:
            os.close(self._memory)
            raise
        self._channel.settimeout(_START_S)
        with theirs:
            self._process = self._begun((theirs.fileno(), self._memory), bytes_max)
        self.unheld = self._ready()

    def _begun(self, descriptors: tuple[int, int], bytes_max: int) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "streams.sandbox.inside", *map(str, descriptors), str(bytes_max)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=descriptors,
                # No keys and passwords of the service.
                env={name: os.environ[name] for name in _PASSED_ON if name in os.environ} | _SET,
                # So that what it starts ends with it, and a Ctrl-C on the service's terminal does not come here.
                start_new_session=True,
            )
        except OSError:
            self._channel.close()
            os.close(self._memory)
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def _ready(self) -> tuple[str, ...]:
        try:
            answer = received(self._channel, READY.size)
        except TimeoutError:
            answer = b""
        if len(answer) < READY.size:
            self.close()
            raise OSError("a decoder's helper process does not start: python -m streams.sandbox.inside")
        (bits,) = READY.unpack(answer)
        return tuple(name for place, name in enumerate(UNHELD) if bits >> place & 1)

    def decode(self, codestream: bytes, image: Image, memory_bytes: int, cpu_s: float) -> Pixels:
        """One frame, shaped `image.shape`. Raises Undecodable, and Died, after which there is no such process."""
        self.frames += 1
        try:
            return self._decoded(codestream, image, memory_bytes, cpu_s)
        except Undecodable:
            raise
        except BaseException:
            # Whatever it was, the two sides no longer agree on what comes next.
            self.close()
            raise

    def _decoded(self, codestream: bytes, image: Image, memory_bytes: int, cpu_s: float) -> Pixels:
        description = described(image)
        self._channel.settimeout(_WALL_S + _WALL_OF_CPU * cpu_s)
        try:
            self._give(codestream)
            self._channel.sendall(REQUEST.pack(len(description), len(codestream), memory_bytes, cpu_s) + description)
            answer = received(self._channel, ANSWER.size)
        except TimeoutError:
            raise Died("decoder_too_slow") from None
        except ConnectionError:
            raise self._death() from None
        if len(answer) < ANSWER.size:
            raise self._death()
        status, dtype, length = ANSWER.unpack(answer)
        if status >= len(STATUSES):
            raise self._death()
        if STATUSES[status] != "decoded":
            raise Undecodable("refused", STATUSES[status])
        return self._taken(image, dtype, length)

    def _give(self, codestream: bytes) -> None:
        written = 0
        while written < len(codestream):
            written += os.pwrite(self._memory, memoryview(codestream)[written:], written)

    def _taken(self, image: Image, dtype: bytes, length: int) -> Pixels:
        """The pixels, read and not mapped: a helper that takes its memory away makes the read short and no more."""
        if dtype not in DTYPES or length != np.dtype(dtype.decode()).itemsize * int(np.prod(image.shape)):
            raise self._death()
        pixels: Pixels = np.empty(image.shape, dtype.decode())
        into, at = memoryview(pixels).cast("B"), 0  # type: ignore[arg-type]
        while at < length:
            count = os.preadv(self._memory, [into[at:]], at)
            if not count:
                raise self._death()
            at += count
        if os.fstat(self._memory).st_size > _KEPT_BYTES:
            os.ftruncate(self._memory, 0)
        return pixels

    def _death(self) -> Died:
        """Ends what may be left of the process; why it died."""
        code = self.close()
        return Died("decoder_too_slow" if code in (-signal.SIGPROF, -signal.SIGXCPU) else "decoder_crashed")

    def close(self) -> int:
        """Ends the process, and what it started, at once; its exit code."""
        if not self.is_gone:
            self.is_gone = True
            self._channel.close()
            os.close(self._memory)
            with suppress(subprocess.TimeoutExpired):
                # One that died by itself says how.
                self._process.wait(_DYING_S)
            with suppress(ProcessLookupError):
                # Its group has its number, and what it started is of that group.
                os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()

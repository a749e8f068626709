"""Memory that this process and a Triton server on the same machine both see: arrays do not travel through gRPC."""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Iterator
from itertools import count
from multiprocessing.shared_memory import SharedMemory
from queue import Empty, LifoQueue

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from consumers.ai.sampling import Floats

_LOCAL = ("127.0.0.1", "localhost", "[::1]")
_NUMBERS = count()
_GOODBYE_S = 1.0


class NotShared(Exception):
    """The server does not see this machine's memory, or there is none left: arrays travel through gRPC."""


class Region:
    """Room for a batch and its answer, registered with the server."""

    def __init__(self, client: triton.InferenceServerClient, input_bytes: int, output_bytes: int) -> None:
        """Raises NotShared, and InferenceServerException where the server does not answer."""
        self.input_bytes, self.output_bytes = input_bytes, output_bytes
        self.name = f"radstream-{os.getpid()}-{next(_NUMBERS)}"
        self._client = client
        try:
            self._memory = SharedMemory(self.name, create=True, size=input_bytes + output_bytes)
        except OSError as error:
            raise NotShared(str(error.strerror)) from None
        try:
            client.register_system_shared_memory(self.name, f"/{self.name}", input_bytes + output_bytes)
        except InferenceServerException as error:
            self._free()
            if error.status() != "StatusCode.UNAVAILABLE":
                raise NotShared(str(error.status())) from None
            raise

    def put(self, batch: Floats) -> None:
        np.ndarray(batch.shape, np.float32, self._memory.buf)[:] = batch

    def answer(self, shape: tuple[int, ...]) -> Floats:
        """A copy: the region is used again."""
        return np.ndarray(shape, np.float32, self._memory.buf, self.input_bytes).copy()

    def drop(self) -> None:
        """The server may still write to it, so it is never used again."""
        with contextlib.suppress(InferenceServerException):
            self._client.unregister_system_shared_memory(self.name, client_timeout=_GOODBYE_S)
        self._free()

    def _free(self) -> None:
        self._memory.close()
        self._memory.unlink()


class Regions:
    """As many regions as there are requests at once."""

    def __init__(self, client: triton.InferenceServerClient, url: str) -> None:
        self.usable = url.rpartition(":")[0] in _LOCAL
        self._client = client
        self._free: LifoQueue[Region] = LifoQueue()
        # When this process ends, too: nobody else would give the memory back.
        self.close = weakref.finalize(self, _drop_all, self._free)

    @contextlib.contextmanager
    def one(self, input_bytes: int, output_bytes: int) -> Iterator[Region]:
        """A region of at least this size, which is given up where its use fails.

        Raises NotShared, once and for all, and InferenceServerException.
        """
        region = self._taken(input_bytes, output_bytes)
        try:
            yield region
        except BaseException:
            region.drop()
            raise
        self._free.put(region)

    def forget(self) -> None:
        """Gives up all regions that are not in use: the server that knew them is gone."""
        _drop_all(self._free)

    def _taken(self, input_bytes: int, output_bytes: int) -> Region:
        with contextlib.suppress(Empty):
            while True:
                region = self._free.get_nowait()
                if region.input_bytes >= input_bytes and region.output_bytes >= output_bytes:
                    return region
                region.drop()
        try:
            return Region(self._client, input_bytes, output_bytes)
        except NotShared:
            self.usable = False
            raise


def _drop_all(free: LifoQueue[Region]) -> None:
    with contextlib.suppress(Empty):
        while True:
            free.get_nowait().drop()

"""onnxruntime in this process, on the CPU or on a GPU that it finds."""

from __future__ import annotations

import threading

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as raised

from consumers.ai.backends.backend import checked
from consumers.ai.failures import ModelFailed, ModelSlow, OutOfMemory, WrongShape
from consumers.ai.repository import Model
from consumers.ai.sampling import Floats
from streams.config import ConfigError

# In this order, those that the installed runtime has.
PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
_WRONG_INPUT = (raised.InvalidArgument, raised.Fail)
_MEMORY = ("allocate", "bad_alloc", "out of memory", "bad allocation")
# Its errors are raised too, and said once by whoever catches them.
_FATAL_ONLY = 4


class InProcess:
    """A session is safe for several threads."""

    name = "onnxruntime"

    def __init__(self, model: Model, threads: int, timeout_s: float) -> None:
        """Raises ConfigError for a file that onnxruntime cannot load."""
        tensors = model.card.tensors
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL_ONLY
        available = onnxruntime.get_available_providers()
        providers = [provider for provider in PROVIDERS if provider in available]
        try:
            self._session = onnxruntime.InferenceSession(str(model.network), options, providers=providers)
        except (
            raised.InvalidProtobuf,
            raised.InvalidGraph,
            raised.Fail,
            raised.NoSuchFile,
            raised.NotImplemented,
        ) as error:
            raise ConfigError(f"{model.network}: onnxruntime cannot load it ({type(error).__name__})") from None
        if tensors is None or tensors.input not in {one.name for one in self._session.get_inputs()}:
            raise ConfigError(f"{model.network}: has no input of the name that its card says; mend the card")
        self._input, self._output = tensors.input, tensors.output
        self._timeout_s = timeout_s

    @property
    def device(self) -> str:
        return "cpu" if self._session.get_providers()[0] == PROVIDERS[-1] else "cuda"

    def run(self, batch: Floats) -> Floats:
        # A session cannot be given a time, but it can be told to end.
        options = onnxruntime.RunOptions()
        timer = threading.Timer(self._timeout_s, setattr, (options, "terminate", True))
        timer.daemon = True
        timer.start()
        try:
            answer = self._session.run([self._output], {self._input: batch}, options)[0]
        except (raised.RuntimeException, raised.EPFail, MemoryError, *_WRONG_INPUT) as error:
            raise _failure(error, ended=options.terminate) from None
        finally:
            timer.cancel()
        return checked(batch, answer)


def _failure(error: Exception, *, ended: bool) -> ModelFailed:
    """By type and text: the runtime has one type for nearly everything."""
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(word in text for word in _MEMORY):
        return OutOfMemory("onnxruntime had no memory for a batch")
    if ended:
        return ModelSlow("onnxruntime took too long for a batch")
    if isinstance(error, _WRONG_INPUT):
        return WrongShape("onnxruntime does not take such an input")
    return ModelFailed(f"onnxruntime failed ({type(error).__name__})")

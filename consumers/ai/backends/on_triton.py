"""A network on a Triton server, by gRPC; on this machine, its arrays by shared memory."""

from __future__ import annotations

import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from consumers.ai.backends.backend import checked
from consumers.ai.backends.shared import NotShared, Regions
from consumers.ai.failures import ModelAway, ModelFailed, ModelSlow, OutOfMemory, WrongShape
from consumers.ai.repository import DIGEST, Model
from consumers.ai.sampling import Floats
from streams.config import ConfigError

# gRPC would wait up to two minutes before it looks again for a server that was away.
_CHANNEL = [
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
]
_FAILURES: dict[str, type[ModelFailed]] = {
    "StatusCode.UNAVAILABLE": ModelAway,
    "StatusCode.NOT_FOUND": ModelAway,
    "StatusCode.CANCELLED": ModelAway,
    "StatusCode.DEADLINE_EXCEEDED": ModelSlow,
    "StatusCode.INVALID_ARGUMENT": WrongShape,
    "StatusCode.RESOURCE_EXHAUSTED": OutOfMemory,
}
_MEMORY = ("bad_alloc", "out of memory", "failed to allocate", "memoryerror")
# What a server that was started anew says of a region that it never saw.
_UNKNOWN_REGION = "shared memory region"


class OnTriton:
    name = "triton"
    device = "server"

    def __init__(self, model: Model, url: str, timeout_s: float) -> None:
        """`url` is host:port. Nothing is sent before the first batch: the server may come later than we."""
        tensors = model.card.tensors
        if tensors is None:
            raise ConfigError(f"{model.card.name}: only networks run on Triton")
        self._model, self._tensors, self._timeout_s = model, tensors, timeout_s
        self._client = triton.InferenceServerClient(url, channel_args=_CHANNEL)
        self._regions = Regions(self._client, url)
        self._is_known = False

    def run(self, batch: Floats) -> Floats:
        try:
            if not self._is_known:
                self._check()
            return checked(batch, self._answer(batch))
        except InferenceServerException as error:
            self._is_known = False
            raise _failure(error) from None

    def close(self) -> None:
        """Gives the shared memory back."""
        self._regions.close()
        self._client.close()

    def _check(self) -> None:
        """Raises ModelFailed where the server runs other weights than the card's."""
        card = self._model.card
        config = self._client.get_model_config(card.name, card.version, client_timeout=self._timeout_s).config
        key = DIGEST.format(version=card.version)
        if config.parameters[key].string_value != self._model.digest:
            raise ModelFailed("the Triton server runs another model of that name and version")
        self._is_known = True

    def _answer(self, batch: Floats) -> Floats | None:
        if self._regions.usable:
            try:
                return self._shared(batch)
            except NotShared:
                pass
            except InferenceServerException as error:
                if _UNKNOWN_REGION not in str(error.message()):
                    raise
                self._regions.forget()
                return self._shared(batch)
        return self._sent(batch)

    def _shared(self, batch: Floats) -> Floats:
        count, _, rows, columns = batch.shape
        shape = (count, 1, rows, columns)
        output_bytes = 4 * count * rows * columns
        with self._regions.one(batch.nbytes, output_bytes) as region:
            region.put(batch)
            given = triton.InferInput(self._tensors.input, batch.shape, "FP32")
            given.set_shared_memory(region.name, batch.nbytes)
            wanted = triton.InferRequestedOutput(self._tensors.output)
            wanted.set_shared_memory(region.name, output_bytes, region.input_bytes)
            answer = self._infer(given, wanted).get_output(self._tensors.output)
            if answer is None or tuple(answer.shape) != shape:
                raise WrongShape(f"not {shape}")
            return region.answer(shape)

    def _sent(self, batch: Floats) -> Floats | None:
        given = triton.InferInput(self._tensors.input, batch.shape, "FP32")
        given.set_data_from_numpy(batch)
        found: Floats | None = self._infer(given, triton.InferRequestedOutput(self._tensors.output)).as_numpy(
            self._tensors.output
        )
        return found

    def _infer(self, given: triton.InferInput, wanted: triton.InferRequestedOutput) -> triton.InferResult:
        card = self._model.card
        return self._client.infer(card.name, [given], card.version, outputs=[wanted], client_timeout=self._timeout_s)


def _failure(error: InferenceServerException) -> ModelFailed:
    status, text = str(error.status()), str(error.message()).lower()
    if any(word in text for word in _MEMORY):
        return OutOfMemory("the Triton server had no memory for a batch")
    kind = _FAILURES.get(status, ModelFailed)
    return kind(f"the Triton server answered {status.removeprefix('StatusCode.')}")

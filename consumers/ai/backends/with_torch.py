"""torch in this process, eager or exported, on a GPU where there is one. Needs the torch extra.

The weights are those of the ONNX file: there is one file of a model, whatever runs it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from consumers.ai.backends.backend import BATCH_MAX, checked
from consumers.ai.failures import ModelFailed, ModelSlow, OutOfMemory, WrongShape
from consumers.ai.network import UNet
from consumers.ai.repository import Model
from consumers.ai.sampling import Floats
from streams.config import ConfigError

Form = Literal["eager", "export"]
_MEMORY = ("not enough memory", "can't allocate", "out of memory")


class WithTorch:
    name = "torch"

    def __init__(self, model: Model, timeout_s: float, form: Form = "eager", device: str | None = None) -> None:
        """`device` is as torch names it; else a GPU where there is one. Raises ConfigError for weights of another
        network."""
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._timeout_s = timeout_s
        network = _network(model).to(self.device)
        self._network = network if form == "eager" else _exported(model, network, self.device)

    def run(self, batch: Floats) -> Floats:
        began = time.monotonic()
        try:
            with torch.inference_mode():
                answer = self._network(torch.from_numpy(batch).to(self.device)).cpu().numpy()
        except (RuntimeError, ValueError, AssertionError) as error:
            raise _failure(error) from None
        # Nothing can stop a kernel: what took too long is only known when it ends.
        if time.monotonic() - began > self._timeout_s:
            raise ModelSlow("torch took too long for a batch")
        return checked(batch, answer)


def _network(model: Model) -> UNet:
    weights = {one.name: numpy_helper.to_array(one) for one in onnx.load(model.network).graph.initializer}
    network = UNet().eval()
    try:
        network.load_state_dict({name: torch.from_numpy(weights[name].copy()) for name in network.state_dict()})
    except (KeyError, RuntimeError):
        raise ConfigError(f"{model.network}: its weights are not those of the network in consumers/ai") from None
    return network


def _exported(model: Model, network: UNet, device: str) -> Callable[[Tensor], Tensor]:
    tensors = model.card.tensors
    assert tensors is not None, "a network's card was checked when it was read"  # noqa: S101
    image = torch.zeros(BATCH_MAX, 3, tensors.pixels, tensors.pixels, device=device)
    batch = torch.export.Dim("batch", min=1)
    return torch.export.export(network, (image,), dynamic_shapes=({0: batch},)).module()


def _failure(error: Exception) -> ModelFailed:
    if isinstance(error, torch.OutOfMemoryError) or any(word in str(error).lower() for word in _MEMORY):
        return OutOfMemory("torch had no memory for a batch")
    if "shape" in str(error) or "size" in str(error) or "channels" in str(error):
        return WrongShape("the network does not take such an input")
    return ModelFailed(f"torch failed ({type(error).__name__})")

"""What every backend is: a batch of a network's inputs in, the batch of its outputs out."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from consumers.ai.failures import WrongShape
from consumers.ai.repository import Model
from consumers.ai.sampling import Floats, Sampling

# What one request holds: enough to fill a processor, little enough to be shared.
BATCH_MAX = 8


class Backend(Protocol):
    """Called from several threads at once. `name` is what a result says of it, `device` what it runs on."""

    name: str

    @property
    def device(self) -> str:
        """cpu, cuda, or server where somebody else decides."""

    def run(self, batch: Floats) -> Floats:
        """From (batch, channels, rows, columns) to (batch, 1, rows, columns), float32.

        Raises ModelAway, ModelSlow, OutOfMemory, WrongShape.
        """


def sampling_of(model: Model) -> Sampling:
    """What the model sees, as its card says."""
    tensors = model.card.tensors
    if tensors is None:
        raise TypeError(f"{model.card.name} is no network")
    return Sampling(tensors.pixels, tensors.pixel_mm, tensors.step_mm, tensors.window)


def checked(batch: Floats, answer: object) -> Floats:
    """The answer, where it is one probability for each pixel. Raises WrongShape."""
    count, _, rows, columns = batch.shape
    if not isinstance(answer, np.ndarray) or answer.shape != (count, 1, rows, columns):
        raise WrongShape(f"not ({count}, 1, {rows}, {columns})")
    if answer.dtype != np.float32 or not np.isfinite(answer).all():
        raise WrongShape("not finite numbers of 32 bits")
    return answer

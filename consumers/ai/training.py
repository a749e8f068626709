"""Trains the demonstration network. Needs the torch extra. Everything follows from the seed, on one kind of machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from consumers.ai.network import UNet
from consumers.ai.sampling import Floats

CROP, BATCH, RATE_MAX = 96, 16, 6e-3
# Of the crops: those with a nodule in their middle, with what the network took for one, and, the rest, with a vessel
# or an edge.
NODULES, MISTAKES = 0.35, 0.45
# When its mistakes are looked for, as parts of the whole.
LOOK_AT = (0.3, 0.5, 0.7)
# Its neighbours look alike, so every second image is looked at.
_EVERY = 2
# On the network's scale: soft tissue, and what is around it, in squares of so many pixels.
_TISSUE, _AROUND, _AROUND_PX = 0.5, 0.55, 15
THREADS = 2


Places = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Example:
    """A volume on the network's grid: `images` (slices, channels, rows, columns), `masks` (slices, rows, columns) of 0
    and 1."""

    images: Floats
    masks: Floats


def train(examples: Sequence[Example], steps: int, seed: int, progress: Callable[[int, float], None]) -> UNet:
    """The trained network; `progress` is told the step and its loss."""
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(THREADS)
    random = np.random.default_rng(seed)
    network = UNet(examples[0].images.shape[1])
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE_MAX)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE_MAX, total_steps=steps)
    crops = [Crops(example) for example in examples]
    for step in range(steps):
        if step in {round(part * steps) for part in LOOK_AT}:
            for one in crops:
                one.look(network)
        images, masks = _batch(crops, random)
        loss = _loss(network.logits(images), masks)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        progress(step + 1, float(loss.detach()))
    return network.eval()


def probabilities(network: UNet, images: Floats) -> Floats:
    """What the network says of (slices, channels, rows, columns): (slices, rows, columns)."""
    with torch.inference_mode():
        found = [
            network(torch.from_numpy(images[at : at + BATCH]))[:, 0].numpy() for at in range(0, len(images), BATCH)
        ]
    return np.concatenate(found)


def _loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross entropy, and the Dice coefficient's complement over the batch: most pixels are no nodule."""
    found = torch.sigmoid(logits)
    dice = (2 * (found * masks).sum() + 1) / (found.sum() + masks.sum() + 1)
    return functional.binary_cross_entropy_with_logits(logits, masks) + 1 - dice


class Crops:
    """Squares of an example, some with a nodule and some with what could be taken for one."""

    def __init__(self, example: Example) -> None:
        self._example = example
        middle = example.images[:, example.images.shape[1] // 2]
        around = ndimage.uniform_filter(middle, (0, _AROUND_PX, _AROUND_PX))
        self._nodules = np.argwhere(example.masks > 0)
        self._others = np.argwhere((example.masks == 0) & (middle > _TISSUE) & (around < _AROUND))
        self._mistakes = self._others[:0]

    def look(self, network: UNet) -> None:
        """Remembers where the network sees a nodule and none is."""
        found = probabilities(network, self._example.images[::_EVERY])
        mistakes = np.argwhere((found > 0.5) & (self._example.masks[::_EVERY] == 0)) * (_EVERY, 1, 1)
        self._mistakes = np.unique(np.concatenate([self._mistakes, mistakes]), axis=0)

    def one(self, random: np.random.Generator) -> tuple[Floats, Floats]:
        """A crop (channels, rows, columns) and its mask (1, rows, columns)."""
        places = self._places(float(random.random()))
        index, *middle = (int(value) for value in places[random.integers(len(places))])
        limits = self._example.masks.shape[1:]
        corner = (value - int(random.integers(CROP // 4, 3 * CROP // 4)) for value in middle)
        rows, columns = (_span(at, limit) for at, limit in zip(corner, limits, strict=True))
        image, mask = self._example.images[index, :, rows, columns], self._example.masks[index, rows, columns]
        return _turned(image, mask[np.newaxis], [int(drawn) for drawn in random.integers(2, size=4)])

    def _places(self, drawn: float) -> Places:
        if drawn < NODULES and len(self._nodules):
            return self._nodules
        return self._mistakes if drawn < NODULES + MISTAKES and len(self._mistakes) else self._others


def _turned(image: Floats, mask: Floats, drawn: Sequence[int]) -> tuple[Floats, Floats]:
    """Upside down, mirrored, rows as columns, feet for head, as it was drawn: a nodule is one from all sides."""
    rows, columns, transposed, feet_first = drawn
    turn = (slice(None), slice(None, None, 1 - 2 * rows), slice(None, None, 1 - 2 * columns))
    image, mask = image[turn], mask[turn]
    if transposed:
        image, mask = image.swapaxes(1, 2), mask.swapaxes(1, 2)
    return image[:: 1 - 2 * feet_first].copy(), mask.copy()


def _span(at: int, limit: int) -> slice:
    start = min(max(at, 0), limit - CROP)
    return slice(start, start + CROP)


def _batch(crops: Sequence[Crops], random: np.random.Generator) -> tuple[Tensor, Tensor]:
    chosen = [crops[int(random.integers(len(crops)))].one(random) for _ in range(BATCH)]
    images, masks = zip(*chosen, strict=True)
    return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(masks))

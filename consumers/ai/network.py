"""The demonstration network: a U-Net (Ronneberger et al. 2015) of some 37,000 parameters. Needs the torch extra."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (9, 18, 36)
# Most pixels are no nodule, and the network starts by saying so.
FIRST_LOGIT = -3.0


class Pair(nn.Sequential):
    """Two convolutions of 3 by 3, each with a rectifier."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__(nn.Conv2d(into, out, 3, padding=1), nn.ReLU(), nn.Conv2d(out, out, 3, padding=1), nn.ReLU())


class UNet(nn.Module):
    """Takes (batch, channels, rows, columns), gives the probability of each pixel: (batch, 1, rows, columns).

    Rows and columns are multiples of 4. No normalisation layers: names and values of the weights are then the same in
    every format that it is exported to.
    """

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        top, middle, bottom = WIDTHS
        self.down_top, self.down_middle = Pair(channels, top), Pair(top, middle)
        self.bottom = Pair(middle, bottom)
        self.up_middle, self.up_top = Pair(bottom + middle, middle), Pair(middle + top, top)
        self.last = nn.Conv2d(top, 1, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                # He et al. 2015: without it, and without normalisation, the first hundred steps learn nothing.
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.constant_(self.last.bias, FIRST_LOGIT)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(image))

    def logits(self, image: Tensor) -> Tensor:
        top: Tensor = self.down_top(image)
        middle: Tensor = self.down_middle(functional.max_pool2d(top, 2))
        bottom: Tensor = self.bottom(functional.max_pool2d(middle, 2))
        middle = self.up_middle(torch.cat((_twice(bottom), middle), 1))
        top = self.up_top(torch.cat((_twice(middle), top), 1))
        last: Tensor = self.last(top)
        return last


def _twice(image: Tensor) -> Tensor:
    return functional.interpolate(image, scale_factor=2.0, mode="nearest")


def parameters(network: nn.Module) -> int:
    return sum(weights.numel() for weights in network.parameters())

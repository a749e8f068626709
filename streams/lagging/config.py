"""What can be set: section [lag]."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from streams.config import Service
from streams.lagging.pace import WINDOW_S


class Settings(Service, frozen=True, kw_only=True):
    """Lag is measured every `interval_s` seconds; rates are those of the last `window_s` seconds."""

    interval_s: Annotated[float, Meta(gt=0)] = 5.0
    window_s: Annotated[float, Meta(gt=0)] = WINDOW_S

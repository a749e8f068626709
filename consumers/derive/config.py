"""What can be set: section [derive]."""

from __future__ import annotations

from typing import Annotated

import msgspec

from streams.config import Section, Service
from streams.runner_settings import RunnerSettings


class Output(Section, frozen=True, kw_only=True):
    """What is made. These settings are part of the step's identity: another value makes new results.

    `thumbnail_px` and `preview_px` are their longest sides: a thumbnail is always of that size, a preview never larger
    than the image. A strip of an image with many frames shows `strip_frames` of them; 0 makes none. No frame of more
    than `frame_bytes_max` is decoded, and no copy is made of more than `pixel_bytes_max` of decoded pixels.
    """

    thumbnail_px: Annotated[int, msgspec.Meta(ge=16, le=1024)] = 256
    preview_px: Annotated[int, msgspec.Meta(ge=16, le=4096)] = 1024
    strip_frames: Annotated[int, msgspec.Meta(ge=0, le=64)] = 10
    frame_bytes_max: int = 128 << 20
    pixel_bytes_max: int = 512 << 20
    object_bytes_max: int = 4 << 30


class Settings(Service, frozen=True, kw_only=True):
    """Memory is about `runner.threads` times the largest object and its pixels."""

    runner: RunnerSettings = RunnerSettings()
    output: Output = Output()

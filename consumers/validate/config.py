"""What can be set: section [validate]."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from streams.config import Section, Service
from streams.elements import DEPTH_MAX, ELEMENTS_MAX, INFLATED_BYTES_MAX
from streams.runner_settings import RunnerSettings

# Blank frames deflate to a thousandth, and sparse segmentations to a few thousandths. Up to this size no ratio is asked
# for: with 66,000 items of a header beside it, it takes 57 MB. Where a header has 240,000, they take 44 MB themselves.
INFLATED_BELIEVED_BYTES = 32 << 20
# Half a second of walking, from whatever is small. A functional MRI of 5,000 frames has more: 100 in each.
ELEMENTS_BELIEVED = 500_000


class Limits(Section, frozen=True, kw_only=True):
    """What one instance may cost. They decide what is quarantined and found, so they are part of the step's identity.

    No frame of more than `frame_bytes_max` is decoded. Of an instance with more than `decoded_bytes_max` of pixels the
    first, the middle and the last frame are; after `decode_seconds_max` no further one is. A deflated data set has
    at most `inflated_bytes_max`, and above INFLATED_BELIEVED_BYTES at most `inflated_ratio_max` times what was sent.
    There are at most `elements_max` elements, items and fragments, and above ELEMENTS_BELIEVED at most one for each
    `element_bytes_min` that were sent.

    What is let through is read by all who come after, so nothing is larger than they read.
    """

    object_bytes_max: int = 4 << 30
    inflated_bytes_max: Annotated[int, msgspec.Meta(ge=1, le=INFLATED_BYTES_MAX)] = 64 << 20
    inflated_ratio_max: int = 100
    elements_max: Annotated[int, msgspec.Meta(ge=1, le=ELEMENTS_MAX)] = 5_000_000
    element_bytes_min: Annotated[int, msgspec.Meta(ge=1)] = 24
    depth_max: Annotated[int, msgspec.Meta(ge=1, le=DEPTH_MAX)] = 64
    frame_bytes_max: int = 128 << 20
    decoded_bytes_max: int = 256 << 20
    decode_seconds_max: float = 10.0


class Studies(Section, frozen=True, kw_only=True):
    """What one study may cost: of a larger one, so many instances are compared. Part of the identity, too."""

    instances_max: int = 10_000


class Settings(Service, frozen=True, kw_only=True):
    """Memory is about 64 MiB for each of `runner.threads`, and what the frames that are looked at take. Objects above
    that are on disk ([store] objects_folder), and of those above 256 MiB one at a time (`streams.one_large`).

    `rules` is the file that says how much rules matter at this site (docs/findings.md).
    """

    runner: RunnerSettings = RunnerSettings()
    limits: Limits = Limits()
    rules: Path | None = None
    studies: Studies = Studies()

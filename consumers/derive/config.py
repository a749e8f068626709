"""What can be set: section [derive]."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from streams.config import Section, Service
from streams.routes.conditions import conditions
from streams.routes.rules import Match
from streams.runner_settings import RunnerSettings

# HTJ2K (…4.201), HTJ2K RPCL (…4.202), JPEG-LS lossless (…4.80), or no copy.
Syntax = Literal["htj2k", "htj2k-rpcl", "jpeg-ls", "none"]
Method = Literal["clahe", "median", "none"]


class LosslessRule(Section, frozen=True, kw_only=True):
    """What a rule does not say is as it is without rules. The conditions are those of the rules file for forwarding."""

    match: Match = Match()
    syntax: Syntax | None = None
    recompress: bool | None = None

    def __post_init__(self) -> None:
        if self.syntax is None and self.recompress is None:
            raise ValueError("it says nothing: give it syntax or recompress")
        _check(self.match)


def _check(match: Match) -> None:
    """Raises ValueError."""
    wrong: list[str] = []
    conditions(match, lambda at, what: wrong.append(f"match.{'.'.join(at)}: {what}"))
    if wrong:
        raise ValueError("; ".join(wrong))


class Lossless(Section, frozen=True, kw_only=True):
    """In what transfer syntax the lossless copy is, and of what. The first rule whose conditions all hold counts.

    `recompress` makes copies of what arrived compressed without loss too (JPEG lossless, JPEG-LS, JPEG 2000, HTJ2K in
    another order); RLE, which hardly compresses, is always copied. What arrived lossy never is.
    """

    syntax: Syntax = "htj2k"
    recompress: bool = False
    rules: tuple[LosslessRule, ...] = ()


class EnhancementRule(Section, frozen=True, kw_only=True):
    match: Match = Match()
    method: Method

    def __post_init__(self) -> None:
        _check(self.match)


class Enhancement(Section, frozen=True, kw_only=True):
    """Which images get an enhanced one beside them; none does unless a site asks. The first rule that fits counts.

    The numbers are those of `consumers.derive.enhancing.Enhancing`.
    """

    method: Method = "none"
    clip_limit: Annotated[float, msgspec.Meta(gt=1, le=100)] = 2.0
    tiles: Annotated[int, msgspec.Meta(ge=2, le=32)] = 8
    median_px: Literal[3, 5] = 3
    rules: tuple[EnhancementRule, ...] = ()


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
    lossless: Lossless = Lossless()
    enhancement: Enhancement = Enhancement()


class Settings(Service, frozen=True, kw_only=True):
    """Memory is about 64 MiB with pixels and copies for each of `runner.threads`. Objects above that are on disk
    ([store] objects_folder), of those above 256 MiB one at a time (`streams.one_large`); what is made of one is in
    memory."""

    runner: RunnerSettings = RunnerSettings()
    output: Output = Output()

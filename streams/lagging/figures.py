"""What lag is told in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Behind:
    """One partition as a group has read it. `committed` is None where the group never committed."""

    topic: str
    lane: str
    partition: int
    committed: int | None
    end: int
    lag: int
    oldest_age_s: float | None


@dataclass(frozen=True)
class OfModality:
    """What was seen of one modality in the sample; `oldest_age_s` is the age of the oldest record seen."""

    modality: str
    sampled: int
    oldest_age_s: float


@dataclass(frozen=True)
class LaneLag:
    """A group's share of one lane ('-': topics without lanes).

    `oldest_age_s` is exact, the timestamps of the records at the committed offsets. `modalities` come of a sample: the
    first records that wait in each partition, `sampled` of `lag`. Rates are records a second over the last minute or
    so, None before there are two measurements. `catch_up_s` is 0 where nothing waits, and None where the group does not
    get there at these rates, or they are not known yet.
    """

    group: str
    lane: str
    lag: int
    oldest_age_s: float | None
    sampled: int
    modalities: Sequence[OfModality]
    in_per_s: float | None = None
    out_per_s: float | None = None
    catch_up_s: float | None = None


@dataclass(frozen=True)
class GroupLag:
    group: str
    lag: int
    oldest_age_s: float | None
    partitions: Sequence[Behind]
    lanes: Sequence[LaneLag]


@dataclass(frozen=True)
class Lag:
    measured_at: datetime
    lag: int
    oldest_age_s: float | None
    groups: Sequence[GroupLag]

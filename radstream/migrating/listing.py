"""What an old PACS says that a study has, against what the catalog has of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from consumers.catalog.presence import Present


@dataclass(frozen=True)
class Series:
    """`said` is the number of instances that the PACS counts, where it does; `sop_classes` those that it names."""

    uid: str
    instances: frozenset[str]
    said: int | None = None
    sop_classes: frozenset[str] = field(default=frozenset())


@dataclass(frozen=True)
class Listing:
    """`said` is the number of instances that the PACS counts of the study, where it does."""

    study_uid: str
    series: tuple[Series, ...]
    said: int | None = None

    @property
    def instances(self) -> frozenset[str]:
        return frozenset().union(*(one.instances for one in self.series))


@dataclass(frozen=True)
class Missing:
    """An instance that the PACS lists and the catalog does not have."""

    study_uid: str
    series_uid: str
    sop_instance_uid: str


@dataclass(frozen=True)
class Difference:
    """`unlisted` counts, by series, what the PACS counts beyond what it lists and the catalog has: no UID tells which.
    `of_study` counts what it counts of the study beyond all that: nothing tells the series either.

    `elsewhere` are instances that the catalog has under another study than the PACS: here, and to be looked at.
    """

    missing: tuple[Missing, ...]
    unlisted: Mapping[str, int]
    elsewhere: tuple[str, ...]
    of_study: int = 0

    @property
    def without_uid(self) -> int:
        """How many are missing that the PACS does not list."""
        return sum(self.unlisted.values()) + self.of_study

    @property
    def count(self) -> int:
        """How many are missing."""
        return len(self.missing) + self.without_uid

    @property
    def none_missing(self) -> bool:
        return not self.count

    @property
    def series_uids(self) -> frozenset[str]:
        """Those of which something is missing, as far as that is known (`of_study`)."""
        return frozenset(one.series_uid for one in self.missing) | frozenset(self.unlisted)


def difference(listing: Listing, held: Mapping[str, Present]) -> Difference:
    """`held` is by SOP Instance UID: what the catalog has of the study, and of the instances listed."""
    missing = [
        Missing(listing.study_uid, series.uid, uid)
        for series in listing.series
        for uid in sorted(series.instances - held.keys())
    ]
    unlisted: dict[str, int] = {}
    for series in listing.series:
        here = {uid for uid, present in held.items() if present.series_uid == series.uid} | series.instances
        if (short := (series.said or 0) - len(here)) > 0:
            unlisted[series.uid] = short
    elsewhere = sorted(uid for uid in listing.instances & held.keys() if held[uid].study_uid != listing.study_uid)
    known = len(listing.instances | {uid for uid, present in held.items() if present.study_uid == listing.study_uid})
    of_study = max((listing.said or 0) - known - sum(unlisted.values()), 0)
    return Difference(tuple(missing), unlisted, tuple(elsewhere), of_study)

"""Thumbnails of what was sent, read by range from the store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from streams.events import InstanceDerived, Representation
from streams.objects import ObjectStore
from streams.rendering.strip import evenly

SERIES_MAX = 20


def chosen(sop_instances: Iterable[str], derivations: Mapping[str, InstanceDerived]) -> list[Representation]:
    """A thumbnail for each instance that has one, in the order sent; of long series a sample."""
    by_sop = defaultdict(list)
    for derivation in derivations.values():
        by_sop[derivation.instance.sop_instance_uid].append(derivation)
    by_series: dict[str, list[Representation]] = defaultdict(list)
    for sop_instance in dict.fromkeys(sop_instances):
        for derivation in by_sop[sop_instance]:
            by_series[derivation.instance.series_uid] += _thumbnail(derivation)
    return [series[index] for series in by_series.values() for index in evenly(len(series), SERIES_MAX)]


def _thumbnail(derivation: InstanceDerived) -> list[Representation]:
    return [copy for copy in derivation.representations if copy.kind == "thumbnail"]


def read(store: ObjectStore, thumbnails: Sequence[Representation]) -> list[bytes]:
    """The pictures' bytes, each checked against its SHA-256. Raises Absent, Damaged, StoreAway."""
    return [store.read(thumbnail.object) for thumbnail in thumbnails]

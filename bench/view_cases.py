"""What a viewer asks for, as requests: the same for every server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bench.view_load import Asked, is_frame
from bench.view_studies import Series

JSON: Final = "application/dicom+json"
# As it is stored, whatever that is.
FRAME: Final = 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'
INSTANCES: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
# The page that OHIF 3.12 asks for.
_LIST: Final = "/studies?limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060%2C00080061"
READERS: Final = 20


@dataclass(frozen=True)
class Case:
    """`aim_ms` is what p50 is to stay under, where the aim is a time. `restarts`: of a server that has just started."""

    name: str
    what: str
    requests: Callable[[Series], list[Asked]]
    readers: int = 1
    aim_ms: float | None = None
    restarts: bool = False


def _study_list(_: Series) -> list[Asked]:
    return [Asked(_LIST, JSON)] * 50


def _search(_: Series) -> list[Asked]:
    return [Asked(f"/studies?PatientID=PHANTOM-{7001 + number}&limit=25", JSON) for number in range(1, 51)]


def _metadata(times: int) -> Callable[[Series], list[Asked]]:
    return lambda series: [Asked(f"/studies/{series.study_uid}/series/{series.series_uid}/metadata", JSON)] * times


def _frames(first: int, last: int, times: int = 1) -> Callable[[Series], list[Asked]]:
    """Of the slices from `first` to before `last`, each checked against what was sent."""

    def requests(series: Series) -> list[Asked]:
        path = f"/studies/{series.study_uid}/series/{series.series_uid}/instances"
        return [
            Asked(f"{path}/{one.sop_instance_uid}/frames/1", FRAME, is_frame(one.frame_sha256))
            for one in series.slices[first:last]
            for _ in range(times)
        ]

    return requests


def _whole(series: Series) -> list[Asked]:
    return [Asked(f"/studies/{series.study_uid}/series/{series.series_uid}", INSTANCES)] * 3


LISTS: Final = {
    "list": Case("list", "study list, a page of 101", _study_list, aim_ms=50),
    "search": Case("search", "studies of one Patient ID", _search, aim_ms=50),
}
CASES: Final[Mapping[str, Case]] = {
    **LISTS,
    "metadata-first": Case("metadata-first", "metadata of the series, first time", _metadata(1)),
    "metadata": Case("metadata", "metadata of the series, again", _metadata(10)),
    "first-frame": Case("first-frame", "first frame of a slice that nobody read", _frames(0, 50), aim_ms=100),
    "cached-frame": Case("cached-frame", "a frame again and again", _frames(0, 5, 40), aim_ms=5),
    "frames-1": Case("frames-1", "every frame, one reader", _frames(0, 100_000)),
    "frames-20": Case("frames-20", "every frame, 20 readers", _frames(0, 100_000), READERS),
    "series": Case("series", "the whole series as DICOM", _whole),
    "metadata-restarted": Case(
        "metadata-restarted", "metadata of the series, first time after a start", _metadata(1), restarts=True
    ),
}

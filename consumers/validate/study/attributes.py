"""Attributes that are to be the same in a whole study, or in a whole series, and are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from consumers.validate.study.header import Header
from consumers.validate.study.rules import finding
from streams.events import StudyFinding

_OF_STUDY: dict[str, Callable[[Header], bytes]] = {
    "patient_id_varies": lambda one: one.patient.patient_id,
    "patient_name_varies": lambda one: one.patient.name,
    "birth_date_varies": lambda one: one.patient.birth_date,
    "sex_varies": lambda one: one.patient.sex,
    "study_date_varies": lambda one: one.study_date,
    "accession_varies": lambda one: one.accession,
}
_OF_SERIES: dict[str, Callable[[Header], bytes]] = {
    "series_modalities": lambda one: one.modality.encode(),
    "series_frames_of_reference": lambda one: one.frame_of_reference,
}


def check(headers: Sequence[Header], by_series: Mapping[str, Sequence[Header]]) -> Iterator[StudyFinding]:
    for rule, value in _OF_STUDY.items():
        if odd := _odd_ones(headers, value):
            yield finding(rule, odd)
    for series_uid, members in by_series.items():
        for rule, value in _OF_SERIES.items():
            if odd := _odd_ones(members, value):
                yield finding(rule, odd, series_uid)


def _odd_ones(headers: Sequence[Header], value: Callable[[Header], bytes]) -> list[Header]:
    """Those that say something else than most do. Empty is not said, and names in other character sets are no other
    names for that."""
    said = [(one, value(one)) for one in headers]
    counts = Counter(what for _, what in said if what)
    if len({what.split(b"\0")[1] if what[:1] == b"\0" else b"" for what in counts}) > 1 or len(counts) < 2:
        return []
    usual = min(counts, key=lambda what: (-counts[what], what))
    return [one for one, what in said if what and what != usual]

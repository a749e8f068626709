"""Where the images of a series lie: twice at one place, with one missing between, or not as the others do.

Only what was made slice by slice is looked at, and localisers are not: their planes cross on purpose.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import median

from consumers.validate.study.header import Header, Vector, along, normal_of
from consumers.validate.study.rules import finding
from streams.events import StudyFinding

_SLICED = ("CT", "MR", "PT")
# In magnetic resonance one series may have stacks of several directions, and fields of several sizes.
_OF_ONE_STACK = ("CT", "PT")
_COSINE_TOLERANCE, _SPACING_TOLERANCE = 1e-3, 0.01
_SAME_PLACE_MM = 0.01
_IMAGES_MIN = 5
# Steps are rounded; a missing image is a whole step more. A series whose steps are uneven anyhow has no gaps to see.
_EVEN_TOLERANCE, _EVEN_SHARE, _GAP = 0.1, 0.8, 1.5
# More numbers than these are not missing but were never given.
_MISSING_SHARE_MAX = 0.2


def check(by_series: Mapping[str, Sequence[Header]]) -> Iterator[StudyFinding]:
    for series_uid, members in by_series.items():
        images = [one for one in members if one.modality in _SLICED and one.position and not one.is_localizer]
        if not images:
            yield from _numbers(series_uid, members)
            continue
        if repeated := _repeated(images):
            yield finding("positions_repeat", repeated, series_uid)
        if beside := _beside_gaps(images):
            yield finding("series_gap", beside, series_uid)
        yield from _changes(series_uid, images)


def _repeated(images: Sequence[Header]) -> list[Header]:
    """Images of different names at one place that nothing tells apart.

    Some scanners write down nowhere public which volume of a dynamic magnetic resonance series an image is of: there,
    images of several numbers are several images.
    """
    places: dict[tuple[object, ...], list[Header]] = defaultdict(list)
    for one in images:
        place = tuple(round(value / _SAME_PLACE_MM) for value in one.position or ())
        turned = tuple(round(value, 3) for value in one.orientation or ())
        number = one.instance_number if one.modality == "MR" else None
        places[(place, turned, number, one.spacing, one.size, one.apart)].append(one)
    return [one for members in places.values() if len({one.sop_instance_uid for one in members}) > 1 for one in members]


def _beside_gaps(images: Sequence[Header]) -> list[Header]:
    """The images on either side of where one seems to be missing."""
    return [one for stack in _stacks(images) for one in _gaps(stack)]


def _stacks(images: Sequence[Header]) -> Iterator[list[tuple[float, Header]]]:
    """Parallel images, by how far they are along their normal, one for each place."""
    turned: dict[Vector, list[Header]] = defaultdict(list)
    for one in images:
        turned[tuple(round(value, 2) + 0.0 for value in one.orientation or ())].append(one)
    for members in turned.values():
        normal = normal_of(members[0].orientation or ())
        placed = {round(along(one.position or (), normal) / _SAME_PLACE_MM): one for one in members}
        yield [(place * _SAME_PLACE_MM, placed[place]) for place in sorted(placed)]


def _gaps(stack: Sequence[tuple[float, Header]]) -> list[Header]:
    if len(stack) < _IMAGES_MIN:
        return []
    steps = [after[0] - before[0] for before, after in pairwise(stack)]
    usual = median(steps)
    if sum(abs(step - usual) <= _EVEN_TOLERANCE * usual for step in steps) < _EVEN_SHARE * len(steps):
        return []
    wide = [index for index, step in enumerate(steps) if step >= _GAP * usual]
    return [stack[place][1] for place in sorted({side for index in wide for side in (index, index + 1)})]


def _changes(series_uid: str, images: Sequence[Header]) -> Iterator[StudyFinding]:
    looks = Counter((one.orientation, one.spacing, one.size) for one in images)
    usual = looks.most_common(1)[0][0]
    first = next(one for one in images if (one.orientation, one.spacing, one.size) == usual)
    if first.modality in _OF_ONE_STACK:
        if turned := [one for one in images if _is_turned(one.orientation or (), first.orientation or ())]:
            yield finding("orientation_changes", turned, series_uid)
        if scaled := [one for one in images if one.size != first.size or _is_scaled(one.spacing, first.spacing)]:
            yield finding("spacing_changes", scaled, series_uid)


def _is_turned(one: Vector, other: Vector) -> bool:
    return max(abs(here - there) for here, there in zip(one, other, strict=True)) > _COSINE_TOLERANCE


def _is_scaled(one: Vector | None, other: Vector | None) -> bool:
    if one is None or other is None:
        return False
    return any(abs(here - there) > _SPACING_TOLERANCE * abs(there) for here, there in zip(one, other, strict=True))


def _numbers(series_uid: str, members: Sequence[Header]) -> Iterator[StudyFinding]:
    """Of images that lie nowhere, numbers are all that shows that one is missing."""
    numbered = {one.instance_number: one for one in members if one.instance_number is not None}
    if len(numbered) < _IMAGES_MIN or len(numbered) < len(members):
        return
    ordered = sorted(numbered)
    missing = ordered[-1] - ordered[0] + 1 - len(ordered)
    if 0 < missing <= _MISSING_SHARE_MAX * len(ordered):
        pairs = [pair for pair in pairwise(ordered) if pair[1] - pair[0] > 1]
        sides = sorted({number for pair in pairs for number in pair})
        yield finding("instance_numbers_gap", [numbered[number] for number in sides], series_uid)

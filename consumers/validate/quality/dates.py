"""Dates that cannot be, and dates that contradict each other. No date of a file is ever said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from consumers.validate.rule import Broken, Rule
from streams.part10 import Part10

STUDY_DATE, SERIES_DATE, ACQUISITION_DATE, CONTENT_DATE = 0x00080020, 0x00080021, 0x00080022, 0x00080023
ACQUISITION_DATE_TIME, BIRTH_DATE, AGE = 0x0008002A, 0x00100030, 0x00101010

RULES = {
    "date_future": Rule("warning", None, "This date is later than the day on which the image came: check the clock."),
    "date_too_old": Rule("warning", None, "This date is before 1900: no image is as old as that."),
    "birth_after_study": Rule("warning", None, "The patient was born after the study.", "0010,0030"),
    "age_contradicts": Rule(
        "warning", "PS3.3 C.7.2.2", "The patient's age does not fit the birth date and the study's date.", "0010,1010"
    ),
}

_OF_IMAGES = (STUDY_DATE, SERIES_DATE, ACQUISITION_DATE, CONTENT_DATE, ACQUISITION_DATE_TIME)
# Local time is up to 14 hours ahead of UTC, and a site's clock may be a little wrong.
_AHEAD = timedelta(days=2)
_FIRST = date(1900, 1, 1)
_DAYS = {"D": 1.0, "W": 7.0, "M": 30.4375, "Y": 365.25}
# An age is cut to whole units, and a birth date is often cut to its year.
_AGE_TOLERANCE_DAYS = 2 * 365.25


def check(file: Part10, received_at: datetime) -> Iterator[Broken]:
    last = received_at.date() + _AHEAD
    for tag in (*_OF_IMAGES, BIRTH_DATE):
        found = _date(file, tag)
        if found is not None and found > last:
            yield "date_future", tag
        elif found is not None and found < _FIRST and tag != BIRTH_DATE:
            yield "date_too_old", tag
    yield from _of_the_patient(file)


def _of_the_patient(file: Part10) -> Iterator[Broken]:
    born, seen = _date(file, BIRTH_DATE), _date(file, STUDY_DATE)
    if born is None or seen is None:
        return
    if born > seen:
        yield "birth_after_study", None
        return
    age_days = _age_days(file)
    if age_days is not None and abs((seen - born).days - age_days) > _AGE_TOLERANCE_DAYS:
        yield "age_contradicts", None


def _date(file: Part10, tag: int) -> date | None:
    """The day of a DA or DT value (PS3.5 section 6.2); None where there is none, or it is no whole date. The form with
    dots is of before 1993."""
    text = (file.text(tag) or "").replace(".", "")[:8] if tag != ACQUISITION_DATE_TIME else (file.text(tag) or "")[:8]
    if len(text) != 8 or not (text.isascii() and text.isdecimal()):
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def _age_days(file: Part10) -> float | None:
    """An AS value: three digits and a unit."""
    text = file.text(AGE) or ""
    if len(text) != 4 or not (text.isascii() and text[:3].isdecimal()) or text[3] not in _DAYS:
        return None
    return int(text[:3]) * _DAYS[text[3]]

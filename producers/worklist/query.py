"""What of an identifier the database can narrow down; `matching` decides."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from pydicom.dataset import Dataset

from consumers.catalog.worklist import Asked
from streams.dimse.matching import BadKey, day_range, texts
from streams.titles import ae_title

_STEPS: Final = "ScheduledProcedureStepSequence"
_WILD: Final = frozenset("*?")
_FIRST, _LAST = date(1900, 1, 1), date(9999, 12, 31)


def asked(keys: Dataset, today: date, expires_days: int) -> Asked:
    """Raises BadKey."""
    step = _step(keys)
    first, last = _days(step)
    return Asked(
        first=max(first, today - timedelta(days=expires_days)),
        last=last,
        modality=_single(step, "Modality"),
        station_ae=_single(step, "ScheduledStationAETitle"),
        patient_id=_single(keys, "PatientID"),
        accession=_single(keys, "AccessionNumber"),
    )


def station(keys: Dataset, calling_ae: str) -> str:
    """The station that is asked for: the AE title of the key, where it is one, else the title of who asks."""
    said = _single(_step(keys), "ScheduledStationAETitle") or ""
    return said if said and ae_title(said) == said else calling_ae


def _step(keys: Dataset) -> Dataset:
    return keys[_STEPS].value[0] if _STEPS in keys and keys[_STEPS].value else Dataset()


def _single(keys: Dataset, keyword: str) -> str | None:
    """The value of a key that is to be matched as it is, or None."""
    said = list(texts(keys[keyword])) if keyword in keys else []
    return said[0] if len(said) == 1 and not _WILD & set(said[0]) else None


def _days(step: Dataset) -> tuple[date, date]:
    said = str(step.get("ScheduledProcedureStepStartDate") or "").strip()
    if not said:
        return _FIRST, _LAST
    first, last = day_range(said)
    return _day(first, _FIRST), _day(last, _LAST)


def _day(text: str, open_end: date) -> date:
    if text in ("00000000", "99999999"):
        return open_end
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadKey("a key is no day of the calendar") from None

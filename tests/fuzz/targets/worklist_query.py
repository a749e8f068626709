"""The identifier of a worklist query, and the attribute list of a performed step: an answer, or one kind of refusal.

pydicom decodes them, within the service's ceilings; what cannot be decoded is refused before anything here sees it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final

from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode, encode

from consumers.catalog.worklist import Scheduled
from producers.worklist.attribute_list import refuse_create, refuse_set, series, settable, study_uids
from producers.worklist.item import item_of
from producers.worklist.query import asked, station
from streams.dimse.answer import answer, unsupported
from streams.dimse.ceiling import LIMITS, check_depth
from streams.dimse.matching import BadKey, matches
from streams.elements import Encoding, Malformed, TooComplex, Walk
from tests.worklists import TODAY, keys

INPUT_BYTES_MAX: Final = 1 << 14
WORDS: Final = (
    *(b"\x40\0\0\1\xff\xff\xff\xff", b"\xfe\xff\0\xe0", b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"),
    *(b"\x10\0\x10\0", b"\x10\0\x20\0", b"\x08\0\x60\0", b"\x40\0\2\0", b"20260101-", b"-2359", b"*", b"?"),
    *(b"[", b"\\"),
)
_ITEM: Final = item_of(
    Scheduled(
        order_id="o",
        place=0,
        modality="CT",
        station_aes=["CT1"],
        start_date=TODAY,
        start_time="093000",
        study_uid="1.2.3",
        performed=None,
        priority="stat",
        order={"PatientName": "Doe^Jane", "PatientID": "P1", "AccessionNumber": "A1"},
        step={"ScheduledProcedureStepID": "S1"},
    )
)


def seeds() -> Iterator[bytes]:
    steps: tuple[dict[str, Any], ...] = (
        {},
        {"Modality": "CT", "ScheduledStationAETitle": "CT*"},
        {"ScheduledProcedureStepStartDate": "20261101-20261130", "ScheduledProcedureStepStartTime": "0800-1200"},
    )
    for step in steps:
        yield _encoded(keys(step, PatientName="D?e*", SpecificCharacterSet="ISO_IR 192"))
    performed: Any = Dataset()
    performed.PerformedProcedureStepID, performed.PerformedProcedureStepStatus = "P1", "IN PROGRESS"
    performed.PerformedStationAETitle, performed.Modality = "CT1", "CT"
    performed.PerformedProcedureStepStartDate, performed.PerformedProcedureStepStartTime = "20261101", "0900"
    performed.ScheduledStepAttributesSequence = [Dataset()]
    performed.ScheduledStepAttributesSequence[0].StudyInstanceUID = "1.2.3"
    yield _encoded(performed)


def _encoded(data_set: Dataset) -> bytes:
    data = encode(data_set, True, True)
    assert data is not None
    return data


def check(data: bytes) -> None:
    try:
        Walk(data, Encoding(explicit=False), LIMITS).top(0, explicit=False)
    except (Malformed, TooComplex):
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            said = decode(BytesIO(data), True, True)
            check_depth(said)
    except Exception:  # noqa: BLE001 - pydicom's own, and the service answers "cannot be understood"
        return
    try:
        asked(said, TODAY, 30)
        station(said, "CT1")
        if matches(said, _ITEM):
            unsupported(said, _ITEM)
            _encoded(answer(said, _ITEM))
    except BadKey:
        pass
    refuse_create(said)
    refuse_set(said, has_series=False)
    series(said), study_uids(said), settable(said)

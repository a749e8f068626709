"""Every attribute of query and retrieve that is supported, by its level."""

from __future__ import annotations

from pydicom.datadict import tag_for_keyword

from gateway.dimse import items
from gateway.dimse.rows import Instance, Patient, Series, Study, Sums


def supported() -> list[tuple[str, str, str]]:
    """Keyword, tag and level."""
    patient = items.of_patient(Patient("", "", "", "", "", ""))
    items.add(patient, dict.fromkeys(items.OF_PATIENT_SUMS, 0))
    study = items.of_study(
        Study(
            study_uid="1",
            study_date=None,
            study_time=None,
            study_id=None,
            accession_number=None,
            description=None,
            referring_physician=None,
            attributes={},
            outside_issuer=None,
            reconciled=False,
            patient_id=None,
            patient_issuer=None,
            patient_name=None,
            birth_date=None,
            sex=None,
            local_accession=None,
        )
    )
    items.add(study, items.study_sums(Sums()))
    series = items.of_series(Series("1", "2", None, None, None, None, {}))
    items.add(series, dict.fromkeys(items.OF_SERIES_SUMS, 0))
    image = items.of_instance(Instance("1", "2", "3", "4", "5", None, None, None, None, None))
    levels = {"PATIENT": patient, "STUDY": study, "SERIES": series, "IMAGE": image}
    return [(one.keyword, _tag(one.keyword), level) for level, item in levels.items() for one in item]


def _tag(keyword: str) -> str:
    number = tag_for_keyword(keyword)
    assert number is not None
    return f"({number >> 16:04X},{number & 0xFFFF:04X})"

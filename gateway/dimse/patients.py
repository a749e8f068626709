"""Whether a Patient ID says who is meant: it is unique with its issuer alone, and most who ask name none."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset

from consumers.catalog.database import Cursor
from consumers.catalog.names import folded_name
from gateway.dimse import rows
from gateway.dimse.models import ISSUER
from gateway.dimse.narrowing import of_patients


class Ambiguous(Exception):
    """The Patient ID is that of several people (docs/decisions/0065). The text says what to do."""

    def __init__(self) -> None:
        super().__init__("several patients have this ID; say its issuer, or name studies")


def check_one_patient(cursor: Cursor, tenant: str, keys: Dataset) -> None:
    """Of the patients who have a study that is shown. Raises Ambiguous where `keys` name several."""
    named = Dataset()
    for keyword in ("PatientID", ISSUER):
        if keyword in keys:
            named[keyword] = keys[keyword]
    if _people(rows.patients(cursor, tenant, of_patients(named, fuzzy=False), None)) > 1:
        raise Ambiguous


def _people(patients: Sequence[rows.Patient]) -> int:
    """Modalities often drop the issuer (docs/decisions/0034): who has none is one who has, where all else is equal."""
    said = {(one.issuer, (folded_name(one.name), one.birth_date, one.sex)) for one in patients}
    known = {person for issuer, person in said if issuer}
    return sum(1 for issuer, person in said if issuer or person not in known)

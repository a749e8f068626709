"""Whose a study from outside is here: out of an order for its import, or of a patient that is known."""

from __future__ import annotations

from dataclasses import dataclass

from consumers.catalog.imports import Import, Patient
from consumers.catalog.orders import Order
from radstream.errors import Failure

_OF_PATIENT = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex")


@dataclass(frozen=True)
class Identity:
    """`texts` by DICOM keyword, none of them empty: what a block of the decision holds.

    `patient_by` says who knew the patient, where there is no order.
    """

    texts: dict[str, str | list[str]]
    order_id: str | None = None
    patient_by: str | None = None

    @property
    def said_by(self) -> dict[str, str]:
        """For the audit: nothing in it is the patient's."""
        named = {"order": self.order_id, "patient_by": self.patient_by}
        return {what: text for what, text in named.items() if text}


def of_order(order: Order) -> Identity:
    """Raises Failure for an order whose attributes were erased, or that names no patient."""
    said = order.attributes or {}
    texts = {
        **{keyword: said.get(keyword) for keyword in _OF_PATIENT},
        "AccessionNumber": order.accession_number,
        "IssuerOfAccessionNumber": order.accession_issuer,
        "RequestedProcedureID": order.procedure_id,
    }
    if not texts["PatientID"]:
        raise Failure(f"the order names no patient (its attributes are {order.block_state or 'absent'})")
    return Identity({keyword: str(text) for keyword, text in texts.items() if text}, order.order_id)


def of_patient(patient: Patient, patient_by: str) -> Identity:
    values = (patient.patient_id, patient.issuer, patient.name, patient.birth_date, patient.sex)
    return Identity(
        {keyword: text for keyword, text in zip(_OF_PATIENT, values, strict=True) if text}, patient_by=patient_by
    )


def differing(found: Import, identity: Identity) -> list[str]:
    """What contradicts: said of both, and not the same. Names are spelt in many ways, and a person compares them."""
    pairs = {
        "birth date": (found.original_birth_date, identity.texts.get("PatientBirthDate")),
        "sex": (found.original_sex, identity.texts.get("PatientSex")),
    }
    return [what for what, (one, other) in pairs.items() if one and other and one.strip() != str(other).strip()]

"""What the options of `radstream import` say: as attributes, with those of a file and of an order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from radstream.errors import Failure
from radstream.import_identity import of_order
from radstream.importing import attribute_file
from radstream.importing.said import Said, united
from radstream.options import open_config, open_log
from radstream.order_named import standing_order
from radstream.reading import audited
from streams.identity import uid_has_leading_zero, uid_is_usable

_OPTIONS: Final = {
    "PatientID": ("patient_id", "--patient-id"),
    "IssuerOfPatientID": ("patient_id_issuer", "--patient-id-issuer"),
    "PatientName": ("patient_name", "--patient-name"),
    "PatientBirthDate": ("birth_date", "--birth-date"),
    "PatientSex": ("sex", "--sex"),
    "StudyDescription": ("description", "--description"),
    "SeriesDescription": ("series_description", "--series-description"),
    "BodyPartExamined": ("body_part", "--body-part"),
    "Laterality": ("laterality", "--laterality"),
}
_IN_SEQUENCES: Final = ("IssuerOfAccessionNumber", "RequestedProcedureID")
_OF_PATIENT: Final = ("patient_id", "patient_id_issuer", "patient_name", "birth_date", "sex")


@dataclass(frozen=True, kw_only=True)
class Words:
    """The options as they were given; what was not given is None."""

    as_: str
    modality: str | None
    with_label: bool
    order: str | None
    issuer: str | None
    patient_id: str | None
    patient_id_issuer: str | None
    patient_name: str | None
    birth_date: str | None
    sex: str | None
    study_uid: str | None
    series_uid: str | None
    description: str | None
    series_description: str | None
    at: datetime | None
    body_part: str | None
    laterality: str | None
    attributes: Path | None
    out: Path | None
    to: str | None
    tls: bool
    stow: str | None
    calling_ae: str


def said_by(words: Words, config_path: Path) -> Said:
    """Raises Failure where something is said twice and not the same, or not as it is written."""
    for uid, option in ((words.study_uid, "--study-uid"), (words.series_uid, "--series-uid")):
        if uid is not None and (not uid_is_usable(uid) or uid_has_leading_zero(uid)):
            raise Failure(f"{option}: no UID; it has digits and dots, 64 at most (PS3.5 section 9.1)")
    attributes = attribute_file.read(words.attributes) if words.attributes else Dataset()
    options = {
        keyword: (str(value), option)
        for keyword, (name, option) in _OPTIONS.items()
        if (value := getattr(words, name)) is not None
    }
    study_uid = words.study_uid
    if words.order is not None:
        if any(getattr(words, name) is not None for name in _OF_PATIENT):
            raise Failure("--order says whose the files are; leave --patient-id and what describes the patient out")
        of_patient, study_uid = _of_order(words, config_path)
        options |= {keyword: (text, "--order") for keyword, text in of_patient.items()}
    made = united(attributes, {key: value for key, value in options.items() if key not in _IN_SEQUENCES})
    _sequences(made, {key: options[key][0] for key in _IN_SEQUENCES if key in options})
    has_time = words.at is not None and words.at.timetz().replace(tzinfo=None) != time.min
    return Said(made, words.at, has_time, study_uid, words.series_uid)


def _of_order(words: Words, config_path: Path) -> tuple[dict[str, str], str]:
    """The order's patient and accession, and its study. Raises Failure."""
    config = open_config(config_path)
    order = standing_order(config, str(words.order), words.issuer)
    audited(config, open_log(config), "order_read_for_import", order.order_id, {})
    if words.study_uid is not None and words.study_uid != order.study_uid:
        raise Failure("--study-uid is another study than the order's; leave one of the two out")
    texts = of_order(order).texts
    return {keyword: str(text) for keyword, text in texts.items()}, order.study_uid


def _sequences(made: Dataset, texts: dict[str, str]) -> None:
    """What an order says as text, and images as items (PS3.3 sections C.7.2.1 and C.7.3.1)."""
    if issuer := texts.get("IssuerOfAccessionNumber"):
        item = Dataset()
        item.LocalNamespaceEntityID = issuer
        made.IssuerOfAccessionNumberSequence = Sequence([item])
    if procedure := texts.get("RequestedProcedureID"):
        item = Dataset()
        item.RequestedProcedureID = procedure
        made.RequestAttributesSequence = Sequence([item])

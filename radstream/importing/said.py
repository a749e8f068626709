"""What a person says of all files of an import: whose they are, of which study, and what is missing of that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydicom.dataset import Dataset

from radstream.errors import Failure
from radstream.importing.attribute_file import element
from radstream.importing.made import Source, Wanting

# What nobody can do without, and what says it.
_PATIENT: Final = {
    "PatientID": "the patient's ID: --patient-id, or --order for a patient out of the catalog's orders",
    "PatientName": "the patient's name: --patient-name FAMILY^GIVEN, or --order",
}


@dataclass(frozen=True)
class Said:
    """`attributes` are of patient, study, series and acquisition. `at` is the study's date, and its time if known."""

    attributes: Dataset
    at: datetime | None
    at_has_time: bool
    study_uid: str | None = None
    series_uid: str | None = None


def united(attributes: Dataset, options: Mapping[str, tuple[str, str]]) -> Dataset:
    """Attributes of a file, and those said by options: a keyword has a value and the option that gave it.

    Raises Failure where both say something, and not the same, or where a value is not as it is written.
    """
    made = Dataset()
    made.update(attributes)
    for keyword, (value, option) in options.items():
        said = element(keyword, value, option)
        if keyword in made and str(made[keyword].value) != str(said.value):
            raise Failure(f"{option} and --attributes say something else of {keyword}; say it once")
        made.add(said)
    return made


def check(said: Said, sources: Sequence[Source]) -> None:
    """Raises Wanting, which names everything that is missing, and Failure where things do not go together."""
    missing = [text for keyword, text in _PATIENT.items() if not said.attributes.get(keyword)]
    untimed = not said.at_has_time and any(one.needs_time and one.captured is None for one in sources)
    if untimed:
        missing.append("the time at which slides were scanned: --date 2026-11-23T08:15")
    elif said.at is None and sources and not any(one.captured for one in sources):
        missing.append("the date, which no file says: --date 2026-11-23 (or with a time, 2026-11-23T08:15)")
    if any(one.modality is None for one in sources):
        missing.append(
            f"the modality of {_names(one for one in sources if one.modality is None)}: --modality CT, MR or PT"
        )
    for kind, keyword in sorted({(one.format, keyword) for one in sources for keyword in one.wanted}):
        if not _has(said.attributes, keyword):
            missing.append(f"{keyword}, which a {kind} needs as this object: write it into a file for --attributes")
    if missing:
        raise Wanting(missing)
    if said.series_uid and len({one.modality for one in sources}) > 1:
        raise Failure("--series-uid: the files are of several modalities, and a series has one; import them apart")


def dated(said: Said, sources: Iterable[Source]) -> Said:
    """With the study's date: the earliest that a file says, where the person says none."""
    if said.at is not None:
        return said
    first = min((one.captured for one in sources if one.captured), default=None)
    return Said(said.attributes, first, first is not None, said.study_uid, said.series_uid)


def _has(attributes: Dataset, keyword: str) -> bool:
    # What was not corrected for decay has no factor of it (PS3.3 section C.8.9.4).
    if keyword == "DecayFactor" and attributes.get("DecayCorrection") == "NONE":
        return True
    return keyword in attributes and not attributes[keyword].is_empty


def _names(sources: Iterable[Source]) -> str:
    names = [str(one.path) for one in sources]
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"

"""Which patient a study is of, and which of its instances are of another one (PS3.3 section A.1.2).

A study is of the patient whom most instances of its first revision name; where as many name another, of one of them,
for ever the same. What comes later never changes that: an instance that was held would else be of the right patient a
minute later, and the rest of the study held in its place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from consumers.validate.study.header import Header, Patient

# A hostile study may name another patient in each image.
_PATIENTS_MAX = 50


def strangers(headers: Sequence[Header], first: Collection[str]) -> list[Header]:
    """The instances that are of another patient than the study. `first` are digests of its first revision;
    without any of them here, all that is here says whose it is."""
    whose = patient_of([one for one in headers if one.digest in first] or headers)
    return [one for one in headers if whose is not None and contradicts(one.patient, whose)]


def patient_of(headers: Sequence[Header]) -> Patient | None:
    """None where no instance says whose it is."""
    known = sorted((one for one in headers if one.patient.patient_id or one.patient.name), key=lambda one: one.digest)
    # In an order that nothing changes, so that of equals it is always the same one. When a copy was stored is no such
    # order: another copy was stored at another time.
    counts = Counter(one.patient for one in known)
    usual = [patient for patient, _ in counts.most_common(_PATIENTS_MAX)]

    def agreeing(patient: Patient) -> int:
        return sum(count for other, count in counts.items() if not contradicts(patient, other))

    return max(usual, key=agreeing, default=None)


def contradicts(one: Patient, other: Patient) -> bool:
    """Whether two cannot be one patient: another ID of the same issuer, or two other attributes that differ.

    A name alone may have been corrected, and a birth date; what is empty says nothing. Zeros that some systems put
    before a number make no other ID.
    """
    if _differ(one.patient_id.lstrip(b"0"), other.patient_id.lstrip(b"0")) and not _differ(one.issuer, other.issuer):
        return True
    return name_differs(one, other) + _differ(one.birth_date, other.birth_date) + _sex_differs(one.sex, other.sex) >= 2


def name_differs(one: Patient, other: Patient) -> bool:
    """Two names in different character sets are not compared; `Patient.name` begins with a null where it has one."""
    if one.name[:1] == b"\0" or other.name[:1] == b"\0":
        same_set = one.name.split(b"\0")[:2] == other.name.split(b"\0")[:2]
        return same_set and _differ(one.name, other.name)
    return _differ(one.name, other.name)


def _sex_differs(one: bytes, other: bytes) -> bool:
    """O is 'other' (PS3.3 section C.7.1.1), and what many write who do not know."""
    return {one, other} == {b"M", b"F"}


def _differ(one: bytes, other: bytes) -> bool:
    return bool(one and other and one != other)

"""Which patient a study is of, and which of its instances are of another one (PS3.3 section A.1.2).

A study is of the patient whom most instances of its first revision name, or of the first that names anybody; where as
many name another, of one of them, for ever the same. What comes later never changes that: an instance that was held
would else be of the right patient a minute later, and the rest of the study held in its place. A person changes it:
what they reject has no say, and the patient of an instance that they release into the study is one of the study's own
(docs/decisions/0076).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence, Set

from consumers.validate.study.decided import Decided
from consumers.validate.study.header import Header, Patient

# A hostile study may name another patient in each image.
_PATIENTS_MAX = 50


def strangers(headers: Sequence[Header], voters: Sequence[Header], inside: Set[str], decided: Decided) -> list[Header]:
    """The instances that are of another patient than the study, without those that a person has decided on. `voters`
    say whose the study is. Of those that are not `inside` it any more, a person decides one by one."""
    whose = patient_of(voters)
    if whose is None:
        return []
    open_ones = [one for one in headers if one.digest not in decided.released and one.digest not in decided.rejected]
    own = {one.patient for one in headers if one.digest in decided.released}
    odd = (one for one in open_ones if contradicts(one.patient, whose))
    return [one for one in odd if one.digest not in inside or not any(is_same(one.patient, other) for other in own)]


def voters_of(
    revisions: Iterable[Set[str] | None],
    inside: Set[str],
    headers: Sequence[Header],
    unread: Set[str],
    decided: Decided,
) -> list[Header] | None:
    """The instances that say whose a study is; none where no instance names anybody. None where that cannot be known:
    those that may say so cannot be read.

    `revisions` are the digests that are new in each of the study's revisions from the first on, None of one whose list
    is not there; `inside` are all of the last one. What is still in the study votes before what was taken out of it, so
    that a study stays of the patient whom it was found to be of.
    """
    if not any(_names(one.patient) for one in headers):
        return None if unread - decided.rejected else []
    for new in revisions:
        if new is None:
            return None
        having_a_say = new - decided.rejected
        for group in (having_a_say & inside - decided.released, having_a_say):
            if naming := [one for one in headers if one.digest in group and _names(one.patient)]:
                return naming
            if group & unread:
                return None
    return []


def patient_of(headers: Sequence[Header]) -> Patient | None:
    """None where no instance says whose it is."""
    # In an order that nothing changes, so that of equals it is always the same one. When a copy was stored is no such
    # order: another copy was stored at another time.
    known = sorted((one for one in headers if _names(one.patient)), key=lambda one: one.digest)
    counts = Counter(one.patient for one in known)
    usual = [patient for patient, _ in counts.most_common(_PATIENTS_MAX)]

    def agreeing(patient: Patient) -> int:
        return sum(count for other, count in counts.items() if not contradicts(patient, other))

    return max(usual, key=agreeing, default=None)


def is_same(one: Patient, other: Patient) -> bool:
    """Whether two say the same ID of no other issuer, or the same name, and contradict each other in nothing."""
    number = one.patient_id.lstrip(b"0")
    same_id = number != b"" and number == other.patient_id.lstrip(b"0") and not _differ(one.issuer, other.issuer)
    return (same_id or (one.name != b"" and one.name == other.name)) and not contradicts(one, other)


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


def _names(patient: Patient) -> bool:
    return bool(patient.patient_id or patient.name)

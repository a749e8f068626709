"""Who of ours the patient of a study from outside may be: by the patient demographics supplier, and by the catalog."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from consumers.catalog.imports import Import, Patient, alike
from consumers.catalog.imports import patients as read_patients
from radstream.demographics.answer import NotAnswered
from radstream.demographics.config import Settings, of_site
from radstream.demographics.judging import Agreement, agreement
from radstream.demographics.query import Known
from radstream.demographics.supplier import Supplier
from radstream.errors import Failure
from radstream.reading import catalog_snapshot
from streams.config import Config, Site

Origin = Literal["demographics", "catalog"]

# As many as are judged, of which the best are shown.
_OF_CATALOG_MAX = 500


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """`known_to` says who knows the patient; the supplier's attributes come before the catalog's."""

    patient: Patient
    agreement: Agreement
    known_to: tuple[Origin, ...]


class Candidates(msgspec.Struct, frozen=True, kw_only=True):
    """The best first. `not_asked` says why the supplier was not; `more`: it has others that it did not give."""

    found: tuple[Candidate, ...]
    asked: tuple[Origin, ...]
    not_asked: str | None
    more: bool
    unusable: int


def known_of(found: Import, name: str | None, birth_date: str | None, sex: str | None) -> Known:
    """What the study says, or a person who reads its paper. Raises Failure where that is nothing to ask by."""
    known = Known(
        name=found.original_name or "" if name is None else name,
        birth_date=_date(found.original_birth_date or "") if birth_date is None else birth_date,
        sex=(found.original_sex or "").strip().upper() if sex is None else sex,
    )
    if not known.family and not known.birth_date:
        raise Failure("the study says neither a name nor a date of birth; give --name or --birth-date")
    return known


def candidates(config: Config, study: Import, known: Known, limit: int) -> Candidates:
    """At most `limit`, the best. Where the supplier does not answer, those of the catalog. Raises Failure."""
    tenant, settings = config.section("site", Site).tenant, of_site(config)
    answered, problem = None, None
    if settings is not None:
        try:
            answered = _supplier(config, settings).candidates(known)
        except NotAnswered as error:
            problem = str(error)
    with catalog_snapshot(config) as cursor:
        ours = alike(cursor, tenant, known.family, known.birth_date, _OF_CATALOG_MAX)
    # Whom the study came with is nobody whom it could be given.
    came = (study.original_issuer or "", study.original_patient_id)
    ours = [one for one in ours if (one.issuer, one.patient_id) != came]
    theirs = answered.patients if answered is not None else ()
    judged = sorted(_judged(known, theirs, ours), key=lambda one: (-one.agreement.score, one.patient.patient_id))
    return Candidates(
        found=tuple(judged[:limit]),
        asked=("catalog",) if answered is None else ("demographics", "catalog"),
        not_asked=problem,
        more=len(judged) > limit or (answered is not None and answered.more),
        unusable=0 if answered is None else answered.unusable,
    )


def patient_of(config: Config, patient_id: str, issuer: str | None, origin: Origin | None) -> tuple[Patient, Origin]:
    """The one with this ID, by the supplier where the site has one, unless `origin` says who is to be asked.

    Raises Failure where that is nobody, or several.
    """
    settings = of_site(config)
    if origin == "demographics" and settings is None:
        raise Failure("the site has no patient demographics supplier: add [demographics] (docs/hospitals.md)")
    asked: Origin = "demographics" if settings is not None and origin != "catalog" else "catalog"
    if settings is not None and asked == "demographics":
        found = _by_supplier(config, settings, patient_id, issuer)
        nobody = "the patient demographics supplier has no patient with this ID; if the catalog has: --from catalog"
    else:
        with catalog_snapshot(config) as cursor:
            found = read_patients(cursor, config.section("site", Site).tenant, patient_id, issuer)
        nobody = "the catalog has no patient with this ID; an order for the import brings one: --order ACCESSION"
    if not found:
        raise Failure(nobody)
    if len(found) > 1:
        raise Failure(f"{len(found)} patients have this ID, of several issuers; say of which: --patient-issuer NAME")
    return found[0], asked


def _by_supplier(config: Config, settings: Settings, patient_id: str, issuer: str | None) -> list[Patient]:
    try:
        answered = _supplier(config, settings).ask(Known(patient_id=patient_id, issuer=issuer or ""))
    except NotAnswered as error:
        raise Failure(f"{error}. As the catalog has the patient: --from catalog") from None
    # A supplier may give those whose number only begins so.
    return [one for one in answered.patients if one.patient_id == patient_id and issuer in (None, one.issuer)]


def _supplier(config: Config, settings: Settings) -> Supplier:
    return Supplier(settings, config.section("site", Site).site)


def _judged(known: Known, theirs: tuple[Patient, ...], ours: list[Patient]) -> Iterator[Candidate]:
    """Each once: equal numbers of one issuer are one patient."""
    here = {(one.issuer, one.patient_id): one for one in ours}
    for patient in theirs:
        also = here.pop((patient.issuer, patient.patient_id), None)
        origins: tuple[Origin, ...] = ("demographics",) if also is None else ("demographics", "catalog")
        yield Candidate(patient=patient, agreement=agreement(known, patient), known_to=origins)
    for patient in here.values():
        yield Candidate(patient=patient, agreement=agreement(known, patient), known_to=("catalog",))


def _date(text: str) -> str:
    """A DA, also in its form of before 1993 (PS3.5 section 6.2); empty where it is none."""
    digits = text.strip().replace(".", "")
    return digits if len(digits) == 8 and digits.isascii() and digits.isdecimal() else ""

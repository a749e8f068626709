"""Studies from outside in words, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from consumers.catalog.imports import Import
from radstream.import_candidates import Candidates
from radstream.output import console, plain

_KNOWN_TO = {"demographics": "the patient demographics supplier", "catalog": "the catalog"}


def print_imports(found: Sequence[Import], limit: int) -> None:
    out = console()
    if not found:
        out.print("no studies from outside wait")
    for one in found:
        print_one(one)
    if len(found) == limit:
        out.print(f"there may be more than {limit}: give --limit")


def print_one(one: Import) -> None:
    out = console()
    by = f"by rule {one.outside}" if one.outside else "by a person's decision"
    by += ", added to a study that was made here" if one.added else ""
    out.print(f"{one.study_date or 'no date'}  {plain(one.description or '-')}  from outside, {by}", soft_wrap=True)
    out.print(f"  study {one.study_uid}", soft_wrap=True)
    for line in identity_lines(one):
        out.print(f"  {line}", soft_wrap=True)


def print_candidates(study: Import, found: Candidates) -> None:
    out = console()
    out.print(identity_lines(study)[0], soft_wrap=True)
    for one in found.found:
        patient, agrees = one.patient, one.agreement
        said = (patient.patient_id, patient.issuer, patient.name, patient.birth_date, patient.sex)
        words = f"name {agrees.name}, date of birth {agrees.birth_date}, sex {agrees.sex}"
        known_to = " and ".join(_KNOWN_TO[origin] for origin in one.known_to)
        out.print(f"{agrees.score:3}  {_said(said, None, None)}", soft_wrap=True)
        out.print(f"     {words}; known to {known_to}", soft_wrap=True)
    out.print("nobody who may be it was found" if not found.found else _how(study.study_uid, found), soft_wrap=True)
    if found.more:
        out.print("there are more: give --name, --birth-date or --sex, or a larger --limit", soft_wrap=True)
    if found.unusable:
        out.print(f"{found.unusable} more have no patient ID of yours", soft_wrap=True)


def _how(study_uid: str, found: Candidates) -> str:
    origin = "" if "demographics" in found.asked or found.not_asked is None else " --from catalog"
    return f"radstream imports reconcile {study_uid} --patient ID --patient-issuer ISSUER{origin} --why TEXT"


def identity_lines(one: Import) -> list[str]:
    """As whose it came, and whose it is here; of what was added to a study that was made here, as whose that came."""
    came = (one.original_patient_id, one.original_issuer, one.original_name, one.original_birth_date, one.original_sex)
    lines = [f"came as   {_said(came, one.original_accession, one.original_state)}"]
    if not one.reconciled:
        how = f"radstream imports reconcile {one.study_uid} --order ACCESSION --why TEXT"
        return [*lines, f"here      not reconciled: {how}"]
    here = (one.patient_id, one.patient_issuer, one.patient_name, one.birth_date, one.sex)
    why = plain(one.why) if one.why is not None else f"(the reason is {one.why_state})"
    return [
        *lines,
        f"here      {_said(here, one.accession_number, one.block_state)}",
        f"decided by {plain(one.actor)} at {one.decided_at:%Y-%m-%d %H:%M}, because: {why}",
    ]


def _said(patient: Sequence[str | None], accession: str | None, state: str | None) -> str:
    if state is not None and state != "open":
        return f"(patient attributes {state})"
    texts = "  ".join(plain(text) for text in patient if text) or "(no patient)"
    return f"{texts}, accession number {plain(accession)}" if accession else texts

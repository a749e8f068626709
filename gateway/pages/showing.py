"""The page of one study: what was received, what was found, what was said of it, and where each copy is."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from consumers.catalog.database import Cursor
from consumers.catalog.study import Study
from consumers.catalog.study import study as read_study
from gateway.pages.provenance import Held, Made, Origin, Shown, held, objects, origins, shown
from gateway.pages.rendering import page
from gateway.pages.restoring import Archived, archived
from gateway.pages.standing import of_results, of_series
from gateway.parts import Parts
from streams.reviewing import NOTE_CHARACTERS_MAX, VERDICTS

_PATIENT = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyDate",
    "StudyDescription",
)


class Seen(msgspec.Struct, frozen=True):
    """A study at one moment. `origins` and `objects` are by result; by series are `shown`, those with an image, and
    `held`, those with images that are held after they flowed. `archived` is what of it has to be restored."""

    study: Study
    origins: dict[str, Origin]
    objects: dict[str, list[Made]]
    shown: dict[str, Shown]
    archived: Archived | None
    held: dict[str, Held]


async def study(parts: Parts, study_uid: str, client: str) -> Response:
    """Raises Problem, Away."""
    seen = await parts.workers.run(lambda: _seen(parts, study_uid))
    if seen is None:
        return page("absent.html", {"study_uid": study_uid}, 404)
    # Before a name leaves the archive: what cannot be audited is not shown.
    await parts.writing.audited(client, "study_shown", study_uid, {"how": "study page"})
    parts.accesses.record(study_uid, client)
    return page("study.html", _told(seen))


def _seen(parts: Parts, study_uid: str) -> Seen | None:
    with parts.reads.snapshot() as cursor:
        return _looked(cursor, parts, study_uid)


def _looked(cursor: Cursor, parts: Parts, study_uid: str) -> Seen | None:
    tenant = parts.tenant
    found = read_study(cursor, tenant, study_uid)
    if found is None:
        return None
    results = [result.event_id for result in found.results]
    return Seen(
        found,
        origins(cursor, tenant, results),
        objects(cursor, tenant, results),
        shown(cursor, tenant, study_uid),
        archived(cursor, parts, study_uid),
        held(cursor, tenant, study_uid),
    )


def _told(seen: Seen) -> dict[str, Any]:
    found = seen.study
    return {
        "study": found,
        "patient": _patient(found),
        "held": sum(found.verdicts.held.values()),
        "origins": seen.origins,
        "objects": seen.objects,
        "shown": seen.shown,
        "archived": seen.archived,
        "series": {one["series_uid"]: one for one in found.series},
        "marks": of_results(found, seen.held),
        "made": of_series(found, seen.held),
        "late": seen.held,
        "verdicts": VERDICTS,
        "note_max": NOTE_CHARACTERS_MAX,
    }


def _patient(found: Study) -> dict[str, str]:
    """Whose it is here: of a study from outside that was reconciled, the patient that a person named."""
    said = {name: str(found.patient.get(name) or "") for name in _PATIENT}
    here = found.imported
    if here is None or not here.reconciled:
        return said
    return said | {
        "PatientName": here.patient_name or "",
        "PatientID": here.patient_id or "",
        "PatientBirthDate": here.birth_date or "",
        "PatientSex": here.sex or "",
        "AccessionNumber": here.accession_number or "",
    }

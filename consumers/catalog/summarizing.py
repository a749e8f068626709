"""Keeps the summaries: a batch says which studies it touched, and a second later they are made anew.

A study of two thousand images arrives in hundreds of batches, and each would count all its images: so the batch's
transaction notes the study and no more, and a thread makes the summary at most once a second. Who reads in between
makes it for himself (`summaries`), of the studies that are noted, so nobody ever sees what is not so any more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, closing

import structlog
from psycopg.rows import dict_row

from consumers.catalog.beside import beside
from consumers.catalog.database import BadRows, Cursor, Writer, refusal
from consumers.catalog.summaries import SERIES, SERVED, STUDIES, Summaries, made, parameters
from consumers.catalog.table import Row
from consumers.catalog.text import clean, document
from streams.events import (
    Event,
    ImportDecision,
    InferenceResult,
    InstanceQuarantined,
    InstanceReceived,
    InstanceValidated,
    QuarantineCommand,
    StepGeneration,
    TierMoved,
)
from streams.repeated import Repeated
from streams.step import Away
from streams.stop import Stop

EVERY_S = 1.0
_STUDIES_MAX = 500
# With the schema's name: a rebuild beside the live tables has summaries of its own.
_LOCK = 7_240_733

# A content that becomes valid, or is held, decides on the others with its SOP Instance UID, in whatever study they are.
_NOTE = """
INSERT INTO study_changes (tenant, study_uid)
SELECT %(tenant)s, study_uid FROM unnest(%(studies)s::text[]) AS study_uid WHERE study_uid <> ''
UNION
SELECT i.tenant, i.study_uid FROM instances i
WHERE i.tenant = %(tenant)s AND i.sop_instance_uid = ANY(%(instances)s) AND i.study_uid <> ALL(%(studies)s)
    AND i.study_uid <> ''
"""

_NOTE_GENERATION = """
INSERT INTO study_changes (tenant, study_uid)
SELECT DISTINCT tenant, study_uid FROM verdicts
WHERE tenant = %(tenant)s AND step = %(step)s AND generation = %(number)s AND study_uid <> ''
"""

_ALONE = "SELECT pg_try_advisory_xact_lock(%s, hashtext(current_schema()))"

_TAKE = """
DELETE FROM study_changes WHERE (tenant, study_uid) IN (
    SELECT DISTINCT tenant, study_uid FROM study_changes ORDER BY 1, 2 LIMIT %s
) RETURNING tenant, study_uid
"""

# Also where it is as it was: by the row's own transaction (`xmin`) who remembers a study finds out that it was
# written to since (`gateway.dicomweb.shown`), and a summary does not have all that may be shown.
_KEEP_STUDIES = """
INSERT INTO study_summaries SELECT * FROM json_populate_recordset(NULL::study_summaries, %s::json)
ON CONFLICT (tenant, study_uid) DO UPDATE SET (
    study_at, study_time, patient_id, patient_name, referring_physician, accession_number, description, modalities,
    sop_classes, series, instances, availability, terms, attributes
) = (
    excluded.study_at, excluded.study_time, excluded.patient_id, excluded.patient_name, excluded.referring_physician,
    excluded.accession_number, excluded.description, excluded.modalities, excluded.sop_classes, excluded.series,
    excluded.instances, excluded.availability, excluded.terms, excluded.attributes
)
"""
_DROP_STUDIES = "DELETE FROM study_summaries WHERE tenant = %s AND study_uid = ANY(%s)"

_KEEP_SERIES = """
INSERT INTO series_summaries AS held SELECT * FROM json_populate_recordset(NULL::series_summaries, %s::json)
ON CONFLICT (tenant, study_uid, series_uid) DO UPDATE SET (
    modality, series_number, sop_classes, instances, attributes
) = (
    excluded.modality, excluded.series_number, excluded.sop_classes, excluded.instances, excluded.attributes
) WHERE held IS DISTINCT FROM excluded
"""
_DROP_SERIES = """
DELETE FROM series_summaries
WHERE tenant = %s AND study_uid = ANY(%s) AND NOT series_uid = ANY(%s)
"""


def note(cursor: Cursor, events: Iterable[Event]) -> None:
    """Notes the studies that these events change, in the transaction of their rows and after them."""
    touched: dict[str, tuple[set[str], set[str]]] = {}
    for event in events:
        studies, instances = touched.setdefault(event.meta.tenant, (set(), set()))
        match event:
            case InstanceReceived() | InstanceValidated() | InstanceQuarantined() | QuarantineCommand():
                studies.add(event.instance.study_uid)
                instances.add(event.instance.sop_instance_uid)
            case ImportDecision() | TierMoved() | InferenceResult():
                studies.add(event.study_uid)
            case StepGeneration(phase="switched"):
                cursor.execute(
                    _NOTE_GENERATION, {"tenant": event.meta.tenant, "step": event.step, "number": event.number}
                )
            case _:
                pass
    for tenant, (studies, instances) in sorted(touched.items()):
        if studies:
            # As the rows have them: hostile UIDs are no reason to refuse a batch.
            cursor.execute(_NOTE, clean({"tenant": tenant, "studies": sorted(studies), "instances": sorted(instances)}))


def refresh(writer: Writer, studies_max: int = _STUDIES_MAX) -> int:
    """Makes summaries of noted studies anew, and returns of how many: 0 where there are none, or another is at it.

    Raises Away and Stop.
    """
    with writer.transaction() as cursor:
        alone = cursor.execute(_ALONE, (_LOCK,)).fetchone()
        if not alone or not alone[0]:
            return 0
        # What commits after this statement is noted in a row that stays; what is read below is not older than it.
        touched = sorted(set(cursor.execute(_TAKE, (studies_max,)).fetchall()))
        for tenant in sorted({tenant for tenant, _ in touched}):
            _keep(cursor, tenant, [uid for of, uid in touched if of == tenant])
        return len(touched)


def _keep(cursor: Cursor, tenant: str, studies: Sequence[str]) -> None:
    found = read(cursor, tenant, studies)
    there = {row["study_uid"] for row in found.studies}
    cursor.execute(_DROP_STUDIES, (tenant, [uid for uid in studies if uid not in there]))
    cursor.execute(_DROP_SERIES, (tenant, list(studies), [row["series_uid"] for row in found.series]))
    cursor.execute(_KEEP_STUDIES, (document(found.studies),))
    cursor.execute(_KEEP_SERIES, (document(found.series),))


def read(cursor: Cursor, tenant: str, studies: Sequence[str]) -> Summaries:
    """The summaries as they are at this moment."""
    asked = parameters(tenant, studies)
    with cursor.connection.cursor(row_factory=dict_row) as rows:
        answers: list[list[Row]] = [
            list(rows.execute(question.encode(), asked).fetchall()) for question in (STUDIES, SERIES, SERVED)
        ]
    return made(tenant, *answers)


def refresh_all(writer: Writer) -> None:
    """Until nothing is noted. Raises Away and Stop."""
    while refresh(writer):
        pass


def summarizing(dsn: str, every_s: float = EVERY_S) -> AbstractContextManager[None]:
    """Makes summaries anew until the block ends. Every member tries, and one at a time does it."""
    return beside("summarizing", lambda ended: _keep_on(dsn, every_s, ended))


def _keep_on(dsn: str, every_s: float, ended: threading.Event) -> None:
    repeated = Repeated()
    with closing(Writer(dsn)) as writer:
        wait_s = every_s
        while not ended.wait(wait_s):
            started_s = time.monotonic()
            try:
                while refresh(writer) and not ended.is_set():
                    pass
            except (Away, Stop) as error:
                if (more := repeated.due(reason := str(error))) is not None:
                    structlog.get_logger().warning("summaries_not_made", reason=reason, **more)
            except BadRows as error:
                structlog.get_logger().error("summaries_not_made", reason=refusal(error))
            # At most a fifth of a core of the database's, however large the studies are that arrive.
            wait_s = max(every_s, 4 * (time.monotonic() - started_s))

"""A catalog of many studies, made by the database: what a hospital of some years has, without its images.

Every study has its row, its series and both summaries; their counts are those of CT, MR and radiography. Nothing is in
the store, and nobody has noted that a study changed, so nothing is made anew from what is not there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Final

from consumers.catalog.database import Cursor
from consumers.catalog.names import folded, folded_name, sounds, terms
from consumers.catalog.text import document

TENANT: Final = "general"
# A year has as many as a hospital of middle size makes.
_A_DAY: Final = 250
_FAMILIES: Final = """
SMITH JONES TAYLOR BROWN WILLIAMS WILSON JOHNSON DAVIES PATEL ROBINSON WRIGHT THOMPSON EVANS WALKER WHITE ROBERTS
GREEN HALL WOOD HARRIS LEWIS MARTIN JACKSON CLARKE TURNER HILL SCOTT COOPER MORRIS WARD MOORE KING WATSON BAKER
HARRISON MORGAN YOUNG ALLEN MITCHELL JAMES ANDERSON PHILLIPS LEE BELL PARKER DAVIS BENNETT MILLER COOK SHAW
MÜLLER SCHMIDT SCHNEIDER FISCHER WEBER MEYER WAGNER BECKER SCHULZ HOFFMANN KOCH RICHTER KLEIN WOLF SCHRÖDER
GARCÍA MARTÍNEZ LÓPEZ SÁNCHEZ GONZÁLEZ RODRÍGUEZ FERNÁNDEZ PÉREZ GÓMEZ RUIZ NOWAK KOWALSKI WIŚNIEWSKI WÓJCIK
NGUYEN TRAN PHAM IVANOV PETROV SIDOROV YILMAZ KAYA DEMIR SILVA SANTOS OLIVEIRA ROSSI RUSSO FERRARI ESPOSITO
HANSEN JOHANSEN OLSEN LARSEN ANDERSSON JOHANSSON KARLSSON NILSSON VIRTANEN KORHONEN O'BRIEN MURPHY KELLY WALSH
"""
_GIVEN: Final = """
ANNA MARIA JOHN PETER PAUL ELENA JAMES MARY ROBERT PATRICIA MICHAEL LINDA DAVID BARBARA WILLIAM ELIZABETH RICHARD
JENNIFER JOSEPH SUSAN THOMAS MARGARET CHARLES DOROTHY HANS INGRID JÜRGEN BJÖRN FRANÇOIS CÉLINE JOSÉ LUCÍA ŁUKASZ
ZOFIA SVEN ASTRID KATHERINE CATHERINE STEVEN STEPHEN PHILIP FILIP SARA SARAH LARS EMMA OLIVER AMELIA HARRY ISLA
"""
# Modality, what it is called, and the images of its series.
_EXAMINATIONS: Final = (
    ("CT", "CT CHEST WITH CONTRAST", (2, 180, 180, 60)),
    ("CT", "CT ABDOMEN AND PELVIS", (2, 320, 120)),
    ("CT", "CT HEAD WITHOUT CONTRAST", (2, 160)),
    ("MR", "MR BRAIN", (24, 24, 176, 30, 60)),
    ("MR", "MR KNEE LEFT", (24, 24, 26, 22)),
    ("DX", "XR CHEST PA AND LATERAL", (2,)),
    ("DX", "XR HAND RIGHT", (3,)),
    ("DX", "XR KNEE BOTH", (4,)),
    ("US", "US ABDOMEN", (24,)),
    ("MG", "MAMMOGRAPHY SCREENING", (4,)),
)

_PEOPLE = """
CREATE TEMPORARY TABLE people ON COMMIT DROP AS
SELECT * FROM json_to_recordset(%s::json) AS one(place integer, name text, folded text, terms text[])
"""
_KINDS = """
CREATE TEMPORARY TABLE kinds ON COMMIT DROP AS
SELECT * FROM json_to_recordset(%s::json)
AS one(place integer, modality text, sop_class text, description text, terms text[], images integer[])
"""
# The same numbers give the same studies; a patient comes back now and then.
_STUDIES = """
CREATE TEMPORARY TABLE made ON COMMIT DROP AS
SELECT n, '2.25.' || (20000000000000000000 + n * 7919::bigint)::text AS study_uid,
    timestamp '2026-11-02' - (n / %(a_day)s) * interval '1 day'
        + (n::bigint * 7919 %% 36000 + 25200) * interval '1 second' AS at,
    'P' || lpad((n::bigint * 31 %% greatest(%(studies)s / 3, 1))::text, 8, '0') AS patient_id,
    'A' || lpad(n::text, 9, '0') AS accession_number,
    n::bigint * 31 %% greatest(%(studies)s / 3, 1) %% %(people)s AS person, n::bigint * 13 %% %(kinds)s AS kind
FROM generate_series(0, %(studies)s - 1) AS n
"""
_FILL = (
    """
INSERT INTO studies (tenant, study_uid, study_date, study_time, accession_number, description, first_received_at,
    last_received_at, spoken_by)
SELECT %(tenant)s, m.study_uid, m.at::date, to_char(m.at, 'HH24MISS'), m.accession_number, k.description, m.at, m.at, ''
FROM made m JOIN kinds k ON k.place = m.kind
""",
    """
INSERT INTO series_summaries (tenant, study_uid, series_uid, modality, series_number, sop_classes, instances,
    attributes)
SELECT %(tenant)s, m.study_uid, m.study_uid || '.' || i.place, k.modality, i.place, ARRAY[k.sop_class], i.images,
    jsonb_build_object('SeriesDescription', k.description || ' ' || i.place)
FROM made m JOIN kinds k ON k.place = m.kind CROSS JOIN LATERAL unnest(k.images) WITH ORDINALITY AS i(images, place)
""",
    """
INSERT INTO study_summaries (tenant, study_uid, study_at, study_time, patient_id, patient_name, referring_physician,
    accession_number, description, modalities, sop_classes, series, instances, availability, terms, attributes)
SELECT %(tenant)s, m.study_uid, m.at, to_char(m.at, 'HH24MISS') || '.000000', m.patient_id, p.folded, '',
    m.accession_number, k.description, ARRAY[k.modality], ARRAY[k.sop_class], cardinality(k.images),
    (SELECT sum(one) FROM unnest(k.images) AS one), CASE WHEN m.n > %(online)s THEN 'NEARLINE' ELSE 'ONLINE' END,
    p.terms || k.terms, jsonb_build_object(
        'StudyDate', to_char(m.at, 'YYYYMMDD'), '~StudyDate', to_char(m.at, 'YYYYMMDD'),
        'StudyTime', to_char(m.at, 'HH24MISS'), '~StudyTime', to_char(m.at, 'HH24MISS') || '.000000',
        'PatientName', p.name, '~PatientName', p.folded, 'PatientID', m.patient_id,
        'PatientBirthDate', '19' || 20 + m.person %% 79 || '0612',
        '~PatientBirthDate', '19' || 20 + m.person %% 79 || '0612',
        'PatientSex', CASE m.person %% 2 WHEN 0 THEN 'F' ELSE 'M' END, 'AccessionNumber', m.accession_number,
        'StudyDescription', k.description, 'StudyID', m.n::text
    )
FROM made m JOIN kinds k ON k.place = m.kind JOIN people p ON p.place = m.person
""",
)
_INDEXED = "SELECT pg_get_indexdef('study_summaries_by_term'::regclass)"
_ANALYZE = "ANALYZE studies, series_summaries, study_summaries"
_SOP_CLASSES: Final = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "MG": "1.2.840.10008.5.1.4.1.1.1.2",
}


def fill(cursor: Cursor, studies: int, tenant: str = TENANT) -> None:
    """Adds so many studies, the newest of 2 November 2026, to an empty catalog. Commit afterwards.

    A million take some minutes, while nobody else can read them.
    """
    people, kinds = list(_people()), list(_kinds())
    cursor.execute(_PEOPLE, (document(people),))
    cursor.execute(_KINDS, (document(kinds),))
    numbers = {
        "studies": studies,
        "a_day": _A_DAY,
        "people": len(people),
        "kinds": len(kinds),
        "tenant": tenant,
        "online": _A_DAY * 365,
    }
    # Built at the end, the index of terms costs a tenth.
    (indexed,) = cursor.execute(_INDEXED).fetchall()
    for statement in (_STUDIES, "DROP INDEX study_summaries_by_term", *_FILL, *indexed, _ANALYZE):
        cursor.execute(statement.encode(), numbers if "%(" in statement else None)


def _people() -> Iterator[Mapping[str, Any]]:
    for place, (given, family) in enumerate(itertools.product(_GIVEN.split(), _FAMILIES.split())):
        name = f"{family}^{given}"
        plain = folded_name(name)
        found_by = sorted(terms("n", plain) | sounds("n", [plain]))
        yield {"place": place, "name": name, "folded": plain, "terms": found_by}


def _kinds() -> Iterator[Mapping[str, Any]]:
    for place, (modality, description, images) in enumerate(_EXAMINATIONS):
        yield {
            "place": place,
            "modality": modality,
            "sop_class": _SOP_CLASSES[modality],
            "description": description,
            "terms": sorted(terms("d", folded(description))),
            "images": images,
        }

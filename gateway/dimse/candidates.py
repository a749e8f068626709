"""Which studies can match a query, by the indexes of the lists, where these say that they are few.

A list has what its study was a second ago (docs/decisions/0082): of those that are noted since, each can match. What
`streams.dimse.matching` decides on is the same with this and without.
"""

from __future__ import annotations

import re
from typing import Any, Final

from pydicom.dataset import Dataset

from consumers.catalog.database import Cursor
from consumers.catalog.names import found_by
from gateway.dimse.models import values
from gateway.dimse.narrowing import Asked
from streams.dimse.matching import words_of

# Of more, the newest are looked at until there are enough of them that match.
FEW_MAX: Final = 2000
_FEW: Final = """
(SELECT u.study_uid FROM study_summaries u WHERE u.tenant = %(tenant)s AND {where} LIMIT %(most)s)
UNION
(SELECT DISTINCT n.study_uid FROM study_changes n WHERE n.tenant = %(tenant)s LIMIT %(most)s)
"""
# The beginning of a value that has an index, and how long it is.
_INDEXED: Final = {"PatientID": "patient_id", "AccessionNumber": "accession_number"}
_INDEXED_MAX: Final = 64
_WILD: Final = re.compile(r"[*?]")
# Each costs the database; nobody means more.
_WILD_MAX: Final = 16


def among_few(cursor: Cursor, tenant: str, keys: Dataset, wanted: Asked, *, fuzzy: bool) -> Asked:
    """`wanted`, and that it is one of a few studies, where it can be."""
    where, asked = wanted
    of_lists, of_keys = _conditions(keys, fuzzy)
    if not of_lists or "studies" in asked:
        return wanted
    query, most = _FEW.format(where=" AND ".join(of_lists)), {"tenant": tenant, "most": FEW_MAX + 1}
    # Its plan is made for what is asked for: one for all is right for none.
    found = cursor.execute(query.encode(), {**of_keys, **most}, prepare=False).fetchall()
    if len(found) > FEW_MAX:
        return wanted
    return [*where, "s.study_uid = ANY(%(few)s)"], {**asked, "few": [uid for (uid,) in found]}


def _conditions(keys: Dataset, fuzzy: bool) -> Asked:
    """On a list `u`: those that every study meets that matches."""
    where: list[str] = []
    asked: dict[str, Any] = {}
    for keyword, column in _INDEXED.items():
        said = values(keys, keyword)
        # One without wild cards is narrowed down to by its own index.
        if len(said) == 1 and _WILD.search(said[0]) and said[0].strip("*"):
            where.append(f"left(u.{column}, {_INDEXED_MAX}) LIKE %({column}_begins)s")
            asked[f"{column}_begins"] = _like(_WILD.split(said[0])[0][:_INDEXED_MAX]) + "%"
            if len(re.findall(r"\*+", said[0])) <= _WILD_MAX:
                where.append(f"u.{column} LIKE %({column})s")
                asked[column] = _like(said[0])
    said = values(keys, "PatientName")
    if len(said) == 1:
        patterns = words_of(said[0]) if fuzzy else said
        if terms := found_by("n", patterns, ends=not fuzzy):
            where.append("u.terms @> %(terms)s::text[]")
            asked["terms"] = terms
    return where, asked


def _like(pattern: str) -> str:
    plain = re.sub(r"([%_\\])", r"\\\1", pattern)
    return re.sub(r"\*+", "%", plain).replace("?", "_")

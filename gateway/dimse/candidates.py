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
_OF_LISTS: Final = """
(SELECT u.study_uid FROM study_summaries u WHERE u.tenant = %(tenant)s AND {where} LIMIT %(most)s)
"""
_OR_CHANGED: Final = """
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
    of_ids, asked_ids = _of_ids(keys)
    of_name, asked_name = _of_name(keys, fuzzy)
    if not (of_ids or of_name) or "studies" in asked:
        return wanted
    said = {**asked_ids, **asked_name, "tenant": tenant, "most": FEW_MAX + 1}
    found = _found(cursor, _OF_LISTS.format(where=" AND ".join([*of_ids.values(), *of_name])) + _OR_CHANGED, said)
    if of_ids and len(found) <= FEW_MAX:
        # Of several values any may match, and an index has how the first begins: no index says which have several.
        several = " OR ".join(f"position('\\' in u.{column}) > 0" for column in of_ids)
        found |= _found(cursor, _OF_LISTS.format(where=" AND ".join([f"({several})", *of_name])), said)
    if len(found) > FEW_MAX:
        return wanted
    return [*where, "s.study_uid = ANY(%(few)s)"], {**asked, "few": sorted(found)}


def _found(cursor: Cursor, question: str, asked: dict[str, Any]) -> set[str]:
    # Its plan is made for what is asked for: one for all is right for none.
    return {str(uid) for (uid,) in cursor.execute(question.encode(), asked, prepare=False).fetchall()}


def _of_ids(keys: Dataset) -> tuple[dict[str, str], dict[str, Any]]:
    """By column, on a list `u`: what every study meets that matches, and has one value there."""
    where: dict[str, str] = {}
    asked: dict[str, Any] = {}
    for keyword, column in _INDEXED.items():
        said = values(keys, keyword)
        # One without wild cards is narrowed down to by its own index.
        if len(said) != 1 or not _WILD.search(said[0]) or not said[0].strip("*"):
            continue
        where[column] = f"left(u.{column}, {_INDEXED_MAX}) LIKE %({column}_begins)s"
        asked[f"{column}_begins"] = _like(_WILD.split(said[0])[0][:_INDEXED_MAX]) + "%"
        if len(re.findall(r"\*+", said[0])) <= _WILD_MAX:
            where[column] += f" AND u.{column} LIKE %({column})s"
            asked[column] = _like(said[0])
    return where, asked


def _of_name(keys: Dataset, fuzzy: bool) -> Asked:
    """On a list `u`: what every study meets that matches."""
    said = values(keys, "PatientName")
    if len(said) != 1:
        return [], {}
    terms = found_by("n", words_of(said[0]) if fuzzy else said, ends=not fuzzy)
    return (["u.terms @> %(terms)s::text[]"], {"terms": terms}) if terms else ([], {})


def _like(pattern: str) -> str:
    plain = re.sub(r"([%_\\])", r"\\\1", pattern)
    return re.sub(r"\*+", "%", plain).replace("?", "_")

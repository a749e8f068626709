"""The Patient Root and Study Root information models (PS3.4 section C.6): levels, their unique keys, what is agreed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pydicom.dataset import Dataset

from streams.dimse.matching import Agreed, BadKey, Period, texts

Level = Literal["PATIENT", "STUDY", "SERIES", "IMAGE"]

_ROOTS: Final[dict[str, tuple[Level, ...]]] = {
    "1.2.840.10008.5.1.4.1.2.1": ("PATIENT", "STUDY", "SERIES", "IMAGE"),
    "1.2.840.10008.5.1.4.1.2.2": ("STUDY", "SERIES", "IMAGE"),
}
FIND, MOVE, GET = "1", "2", "3"
SOP_CLASSES: Final = tuple(f"{root}.{service}" for root in _ROOTS for service in (FIND, MOVE, GET))

UNIQUE: Final[dict[Level, str]] = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
# With whose number a Patient ID is one patient's.
ISSUER: Final = "IssuerOfPatientID"
_PERIODS: Final[tuple[Period, ...]] = (("StudyDate", "StudyTime"), ("SeriesDate", "SeriesTime"))
# QIDO-RS takes several of these too.
_LISTS: Final = ("ModalitiesInStudy",)
_WILD: Final = frozenset("*?")
# PS3.4 tables C.5.1-1 and C.5.2-1, byte by byte: what is supported of what may be asked for.
_SUPPORTED: Final = {FIND: b"\1\1\1", MOVE: b"\1", GET: b"\1"}


class Mismatch(Exception):
    """The identifier is none of this SOP class (status 0xA900). The text names attributes, and never their values."""


@dataclass(frozen=True)
class Asking:
    """What the association agreed on for a SOP class. Without `relational`, each level above has to be named."""

    relational: bool
    agreed: Agreed


def answered(sop_class: str, asked: bytes) -> bytes:
    """Service class application information of SOP Class Extended Negotiation: as long as what was asked."""
    supported = _SUPPORTED[sop_class.rpartition(".")[2]] if sop_class in SOP_CLASSES else b""
    return bytes(
        1 if byte == 1 and place < len(supported) and supported[place] else 0 for place, byte in enumerate(asked)
    )


def asking(sop_class: str, asked: bytes | None) -> Asking:
    """`asked` is what the requestor proposed for the SOP class, None where nothing."""
    said = answered(sop_class, asked or b"").ljust(3, b"\0")
    agreed = Agreed(periods=_PERIODS if said[1] else (), fuzzy=bool(said[2]), lists=_LISTS)
    return Asking(relational=bool(said[0]), agreed=agreed)


def levels_of(sop_class: str) -> tuple[Level, ...]:
    return _ROOTS[sop_class.rpartition(".")[0]]


def level_of(sop_class: str, keys: Dataset) -> Level:
    """Raises Mismatch."""
    said = str(keys.get("QueryRetrieveLevel") or "").strip()
    levels = levels_of(sop_class)
    found = next((level for level in levels if level == said), None)
    if found is None:
        raise Mismatch(f"Query/Retrieve Level is none of {', '.join(levels)}")
    return found


def check_levels_above(sop_class: str, level: Level, keys: Dataset, *, relational: bool) -> None:
    """A hierarchical search names one entity of each level above (section C.4.1.3.1). Raises Mismatch."""
    levels = levels_of(sop_class)
    for above in () if relational else levels[: levels.index(level)]:
        if single(keys, UNIQUE[above]) is None:
            raise Mismatch(f"{UNIQUE[above]} has to be one value: no relational query agreed")


def values(keys: Dataset, keyword: str) -> list[str]:
    """Raises BadKey for what a database cannot be asked for: no text in it has a null character."""
    found = list(texts(keys[keyword])) if keyword in keys else []
    if any("\0" in text for text in found):
        raise BadKey(f"{keyword} has a null character within it")
    return found


def single(keys: Dataset, keyword: str) -> str | None:
    """The value of a key that is to be matched as it is, or None."""
    said = plain(keys, keyword)
    return said[0] if len(said) == 1 else None


def plain(keys: Dataset, keyword: str) -> list[str]:
    """The values of a key that are to be matched as they are; none where one of them has wild cards."""
    said = values(keys, keyword)
    return [] if any(_WILD & set(one) for one in said) else said

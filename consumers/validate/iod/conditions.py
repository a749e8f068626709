"""Conditions that no sentence of the standard says in a form that `sentences` reads, in our own words; for `distil`.

`BY_PLACE` is keyed by a module's key ("" is any), the sequence that an attribute stands in ("" is the top level, "*" is
any), and its keyword; an entry replaces what was read. `NEVER` is what must not be asked for: nothing in the file says
whether it applies, and the sentence only looks as if.
"""

from __future__ import annotations

from pydicom.datadict import dictionary_VR, tag_for_keyword

from consumers.validate.iod.sentences import Condition


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"{keyword} is no attribute of the standard")
    return tag


def has(keyword: str) -> Condition:
    return ["has", _tag(keyword)]


def lacks(*keywords: str) -> Condition:
    none: list[Condition] = [["lacks", _tag(keyword)] for keyword in keywords]
    return none[0] if len(none) == 1 else ["and", *none]


def one_of(keyword: str, *values: str, nth: int = 0) -> Condition:
    return ["in", _tag(keyword), nth, list(values), dictionary_VR(_tag(keyword))]


def both(*conditions: Condition) -> Condition:
    return ["and", *conditions]


def either(*conditions: Condition) -> Condition:
    return ["or", *conditions]


_CONTENT = ("sr-document-content", "ContentSequence")


def _by_value_type() -> dict[tuple[str, str, str], Condition | None]:
    """PS3.3 table C.17.3-3: which attributes a content item has is a matter of its value type."""
    wanted = {
        "ConceptCodeSequence": ("CODE",),
        "ContinuityOfContent": ("CONTAINER",),
        "DateTime": ("DATETIME",),
        "Date": ("DATE",),
        "Time": ("TIME",),
        "PersonName": ("PNAME",),
        "UID": ("UIDREF",),
        "TextValue": ("TEXT",),
        "MeasuredValueSequence": ("NUM",),
        "TemporalRangeType": ("TCOORD",),
        "GraphicData": ("SCOORD", "SCOORD3D"),
        "GraphicType": ("SCOORD", "SCOORD3D"),
        "ReferencedFrameOfReferenceUID": ("SCOORD3D",),
        "ReferencedSOPSequence": ("IMAGE", "COMPOSITE", "WAVEFORM"),
        "TabulatedValuesSequence": ("TABLE",),
    }
    return {
        ("sr-document-content", parent, keyword): one_of("ValueType", *types)
        for parent in ("", "ContentSequence")
        for keyword, types in wanted.items()
    }


_IMAGE_REFERENCE = ("IMAGE", "COMPOSITE")

BY_PLACE: dict[tuple[str, str, str], Condition | None] = {
    **_by_value_type(),
    ("sr-document-content", "", "ConceptNameCodeSequence"): has("ValueType"),
    ("sr-document-content", "ContentSequence", "ConceptNameCodeSequence"): one_of(
        "ValueType", "TEXT", "NUM", "CODE", "DATETIME", "DATE", "TIME", "UIDREF", "PNAME"
    ),
    ("sr-document-content", "ContentSequence", "ValueType"): lacks("ReferencedContentItemIdentifier"),
    # A code has one of three forms (PS3.3 section 8.8).
    ("", "*", "CodeValue"): lacks("LongCodeValue", "URNCodeValue"),
    ("", "*", "CodingSchemeDesignator"): either(has("CodeValue"), has("LongCodeValue")),
    ("", "*", "LongCodeValue"): None,
    ("", "*", "URNCodeValue"): None,
    # Pixels (PS3.3 section C.7.6.3)
    ("", "", "PixelData"): lacks("PixelDataProviderURL", "FloatPixelData", "DoubleFloatPixelData"),
}
# Keywords of what is 1C or 2C in the tables and never asked for.
NEVER: frozenset[str] = frozenset()

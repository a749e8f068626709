"""A copy of an imported instance under its identity here, with what it said before in it.

IHE IRWF.b has whoever imports a study write the local patient and order into what it stores; PS3.3 section C.12.1.1.9
has every value that went put into the Original Attributes Sequence. The received bytes stay as they came: this is for
what is sent on, or shown.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import pydicom
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.sequence import Sequence

from streams import part10
from streams.elements import Element, Malformed, TooComplex
from streams.mapped import File
from streams.part10 import Part10
from streams.reading_large import LARGE_BYTES, joined

MODIFYING_SYSTEM: Final = "RADSTREAM"
UTF_8: Final = "ISO_IR 192"
_BLOCK_BYTES: Final = 1 << 20

_PATIENT = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex")
# What names the patient or the order elsewhere, and would go on doing so beside our numbers. Other Patient IDs Sequence
# stays: each of its numbers may say whose it is.
_FOREIGN = (
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "OtherPatientIDs",
    "AdmissionID",
    "IssuerOfAdmissionIDSequence",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
    "RequestAttributesSequence",
    "ReferencedRequestSequence",
)
# Of these the character set decides (PS3.5 section 6.1.2.2); in implicit VR nothing says which they are.
_TEXTS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT", "UN", ""})
# Type 2 wherever they occur: they stay, and are empty.
_KEPT_EMPTY = frozenset({"AccessionNumber"})


class Uncoercible(Exception):
    """The data set cannot be written with other values. The text says nothing of them."""


def coerced(
    file: File, identity: Mapping[str, str | list[str]], source: str, at: datetime, folder: Path | None = None
) -> File:
    """A DICOM file in the same transfer syntax, pixels and all other elements as they were.

    `identity` is by keyword what `radstream imports reconcile` decided: the patient's attributes and, of an order, its
    accession number, issuer and requested procedure ID. `source` (LO) is whose values the former ones were; `at` is
    when it was decided. Equal arguments give equal bytes. What is large goes into a file in `folder`
    (`streams.reading_large.joined`). Raises Uncoercible, NoRoom.
    """
    try:
        was = part10.read(file)
    except (Malformed, TooComplex):
        raise Uncoercible("its elements cannot be told apart") from None
    pixels, view = _apart(was, file), memoryview(file)
    at_pixels, behind = (len(file), len(file)) if pixels is None else (pixels.at, pixels.end)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data_set = pydicom.dcmread(io.BytesIO(b"".join((view[:at_pixels], view[behind:]))))
            widened = _coerce(data_set, _wanted(identity), source, at)
            out = io.BytesIO()
            data_set.save_as(out, enforce_file_format=False)
        around = out.getvalue()
        place = len(around) if pixels is None else _place(around, pixels.tag)
    except Exception as error:  # noqa: BLE001 - pydicom raises whatever a value leads it to
        raise Uncoercible(type(error).__name__) from None
    made = joined((around[:place], view[at_pixels:behind], around[place:]), folder)
    if not _same_but_for_ours(was, made, widened=widened):
        raise Uncoercible("something else would have changed")
    return made


def _apart(was: Part10, file: File) -> Element | None:
    """The pixel data element, which stays as it is, so that pydicom does not have to hold it.

    None where there is none, or none that can stay: in a deflated data set, or not as its transfer syntax has it. That
    is for pydicom to mend, which has it in memory several times. Raises Uncoercible where it is large.
    """
    pixels = was.pixel_data
    if pixels is None or was.data is not file:
        return None
    if _is_as_written(was, pixels):
        return pixels
    if len(file) > LARGE_BYTES:
        raise Uncoercible("its pixel data is cut short, or not as its transfer syntax has it, and is large")
    return None


def _is_as_written(was: Part10, pixels: Element) -> bool:
    """Whether all of it is there, once, with a head in the encoding that its transfer syntax names: pydicom writes all
    others in that one, whatever they were in."""
    is_odd = pixels.truncated or not was.oddities.isdisjoint(("repeated", "transfer_syntax"))
    return not is_odd and pixels.vr != "UN" and bool(pixels.vr) == was.encoding.explicit


def _place(around: bytes, pixels: int) -> int:
    """Where the element with the tag `pixels` goes: in front of the first one with a higher tag."""
    elements = part10.read(around).elements.values()
    return min((one.at for one in elements if one.tag > pixels), default=len(around))


def _wanted(identity: Mapping[str, str | list[str]]) -> Dataset:
    """What is to be in the data set in place of what is there."""
    wanted = Dataset()
    for keyword in (*_PATIENT, "AccessionNumber"):
        if text := identity.get(keyword):
            setattr(wanted, keyword, text)
    if issuer := identity.get("IssuerOfAccessionNumber"):
        wanted.IssuerOfAccessionNumberSequence = Sequence([_item(LocalNamespaceEntityID=issuer)])
    if procedure := identity.get("RequestedProcedureID"):
        asked = _item(RequestedProcedureID=procedure)
        if accession := identity.get("AccessionNumber"):
            asked.AccessionNumber = accession
        wanted.RequestAttributesSequence = Sequence([asked])
    return wanted


def _item(**values: str | list[str]) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _coerce(data_set: Dataset, wanted: Dataset, source: str, at: datetime) -> bool:
    """Returns whether its texts are in another character set now."""
    widened = _widen(data_set, wanted, source)
    before = Dataset()
    for keyword in dict.fromkeys((*_PATIENT, *_FOREIGN)):
        if keyword in data_set and (keyword in _FOREIGN or keyword in wanted):
            before[keyword] = data_set[keyword]
    for keyword in _FOREIGN:
        if keyword in data_set:
            del data_set[keyword]
            if keyword in _KEPT_EMPTY:
                setattr(data_set, keyword, "")
    data_set.update(wanted)
    item = _item(
        AttributeModificationDateTime=at.strftime("%Y%m%d%H%M%S.%f%z"),
        ModifyingSystem=MODIFYING_SYSTEM,
        SourceOfPreviousValues=source,
        ReasonForTheAttributeModification="COERCE",
    )
    item.ModifiedAttributesSequence = Sequence([before])
    data_set.OriginalAttributesSequence = Sequence([*data_set.get("OriginalAttributesSequence", ()), item])
    return widened


def _widen(data_set: Dataset, wanted: Dataset, source: str) -> bool:
    """To UTF-8 where our values are not ASCII: its own character set may not have their letters. Else all stays."""
    ours = (str(element.value) for element in wanted.iterall() if element.VR != "SQ")
    if all(text.isascii() for text in (*ours, source)) or data_set.get("SpecificCharacterSet") == UTF_8:
        return False
    data_set.decode()
    data_set.SpecificCharacterSet = UTF_8
    return True


def _same_but_for_ours(was: Part10, after: File, *, widened: bool) -> bool:
    """Whether every other element is there, byte for byte: pydicom stops without a word in some broken data sets.

    Of what was read and written by items, and of texts in another character set, that there is such an element.
    """
    try:
        now = part10.read(after)
    except (Malformed, TooComplex):
        return False
    kept, made = _kept(was), _kept(now)
    return kept.keys() == made.keys() and all(
        _is_equal(was, one, now, made[tag]) for tag, one in kept.items() if _is_compared(one, widened=widened)
    )


def _kept(file: Part10) -> dict[int, Element]:
    """All but what is ours, and group lengths, which were retired in 2008."""
    ours = {tag_for_keyword(keyword) for keyword in (*_PATIENT, *_FOREIGN, "OriginalAttributesSequence")}
    ours.add(tag_for_keyword("SpecificCharacterSet"))
    return {tag: one for tag, one in file.elements.items() if tag not in ours and tag & 0xFFFF}


def _is_equal(was: Part10, one: Element, now: Part10, other: Element) -> bool:
    """In blocks: the value of one element may be gigabytes, and is not to be copied as a whole."""
    return one.length == other.length and all(
        was.data[one.value_at + at : min(one.value_at + at + _BLOCK_BYTES, one.end)]
        == now.data[other.value_at + at : min(other.value_at + at + _BLOCK_BYTES, other.end)]
        for at in range(0, one.length, _BLOCK_BYTES)
    )


def _is_compared(element: Element, *, widened: bool) -> bool:
    return element.vr != "SQ" and not (widened and element.vr in _TEXTS)

"""What an N-ACTION asks for is read strictly and in bounds; what does not hold is not believed in part."""

from __future__ import annotations

import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom.dsutils import encode

from producers.dicom_router.commitment.references import (
    REFERENCES_MAX,
    Asked,
    TooMany,
    Unreadable,
    read_asked,
)
from streams.events import SopReferences
from streams.part10 import EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
SYNTAXES = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)


def request(*references: tuple[str, str], transaction: str | None = "2.25.7") -> Dataset:
    asked = Dataset()
    if transaction is not None:
        asked.TransactionUID = transaction
    items = []
    for sop_class, sop_instance in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
        items.append(item)
    asked.ReferencedSOPSequence = Sequence(items)
    return asked


def encoded(data_set: Dataset, transfer_syntax: str = EXPLICIT_VR_LITTLE_ENDIAN) -> bytes:
    """By pydicom: a test of a reader does not use a writer of ours."""
    data = encode(data_set, transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN, transfer_syntax != EXPLICIT_VR_BIG_ENDIAN)
    assert data is not None
    return data


def of_class(sop_class: str, *uids: str) -> SopReferences:
    return SopReferences(sop_class_uid=sop_class, sop_instance_uids=uids)


@pytest.mark.parametrize("transfer_syntax", SYNTAXES)
@pytest.mark.parametrize("undefined", [False, True], ids=["defined", "undefined"])
def test_references_are_read_by_class_each_once(transfer_syntax: str, undefined: bool) -> None:
    asked = request((CT, "1.2.3"), (MR, "1.2.4"), (CT, "1.2.5"), (CT, "1.2.3"))
    asked.StorageMediaFileSetID = "DISC"
    asked[0x00081199].is_undefined_length = undefined
    for item in asked.ReferencedSOPSequence:
        item.is_undefined_length_sequence_item = undefined
        item.StorageMediaFileSetID = "DISC"
    assert read_asked(encoded(asked, transfer_syntax), transfer_syntax) == Asked(
        "2.25.7", (of_class(CT, "1.2.3", "1.2.5"), of_class(MR, "1.2.4"))
    )


def test_sequences_beside_the_references_are_stepped_over() -> None:
    asked = request((CT, "1.2.3"))
    asked.ReferencedPerformedProcedureStepSequence = Sequence([request((MR, "9.9"))])
    for element in (0x00081111, 0x00081199):
        asked[element].is_undefined_length = True
    assert read_asked(encoded(asked), EXPLICIT_VR_LITTLE_ENDIAN).references == (of_class(CT, "1.2.3"),)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        pytest.param(request((CT, "1.2"), transaction=None), "no Transaction UID", id="no transaction"),
        pytest.param(request(), "no references", id="no references"),
        pytest.param(request((CT, "")), "a UID in it is none", id="empty instance"),
    ],
)
def test_what_lacks_something_is_no_request(asked: Dataset, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read_asked(encoded(asked), EXPLICIT_VR_LITTLE_ENDIAN)


def test_a_uid_that_is_none_is_not_believed_and_not_quoted() -> None:
    hostile = encoded(request((CT, "1.2.3456789"))).replace(b"1.2.3456789", b"DOE^JOHN^AB")
    with pytest.raises(Unreadable) as caught:
        read_asked(hostile, EXPLICIT_VR_LITTLE_ENDIAN)
    assert "DOE" not in str(caught.value)


def test_every_cut_of_a_request_is_refused() -> None:
    """Half of a list is a promise about the wrong half."""
    whole = encoded(request((CT, "1.2.3"), (MR, "1.2.4")))
    for end in range(len(whole)):
        with pytest.raises(Unreadable):
            read_asked(whole[:end], EXPLICIT_VR_LITTLE_ENDIAN)


def test_an_item_that_is_longer_than_its_sequence_is_refused() -> None:
    whole = bytearray(encoded(request((CT, "1.2.3"), (MR, "1.2.4"))))
    at = whole.index(b"\xfe\xff\x00\xe0") + 4
    (length,) = struct.unpack_from("<I", whole, at)
    struct.pack_into("<I", whole, at, length + 40)
    with pytest.raises(Unreadable):
        read_asked(bytes(whole), EXPLICIT_VR_LITTLE_ENDIAN)


def test_ten_thousand_references_are_read_and_one_more_is_too_many() -> None:
    most = [(CT, f"2.25.{10**36 + number}") for number in range(REFERENCES_MAX)]
    (group,) = read_asked(encoded(request(*most)), EXPLICIT_VR_LITTLE_ENDIAN).references
    assert len(group.sop_instance_uids) == REFERENCES_MAX
    with pytest.raises(TooMany):
        read_asked(encoded(request(*most, (CT, "1.2"))), EXPLICIT_VR_LITTLE_ENDIAN)


def test_more_uids_than_a_record_of_the_log_holds_are_too_many() -> None:
    """Each with a class of its own, both as long as they may be."""
    long = [(f"2.1{number:061d}", f"1.1{number:061d}") for number in range(6000)]
    with pytest.raises(TooMany):
        read_asked(encoded(request(*long)), EXPLICIT_VR_LITTLE_ENDIAN)


def test_a_nest_of_sequences_ends_without_a_deep_stack() -> None:
    nest = b"\x08\x00\x11\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 50_000
    started = time.process_time()
    with pytest.raises(Unreadable):
        read_asked(nest, EXPLICIT_VR_LITTLE_ENDIAN)
    # Of its 1 MB it looks at as much as the ceiling of depth allows, which takes no time at all.
    assert time.process_time() - started < 5


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(SYNTAXES))
def test_no_bytes_do_anything_else_than_be_read_or_be_refused(data: bytes, transfer_syntax: str) -> None:
    try:
        asked = read_asked(data, transfer_syntax)
    except (Unreadable, TooMany):
        return
    assert asked.references


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from(SYNTAXES))
def test_a_request_with_bytes_changed_is_read_or_refused(data: st.DataObject, transfer_syntax: str) -> None:
    whole = bytearray(encoded(request((CT, "1.2.3"), (MR, "1.2.4")), transfer_syntax))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_asked(bytes(whole), transfer_syntax)
    except (Unreadable, TooMany):
        return

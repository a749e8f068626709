"""The stored file's first bytes are in every digest ever made: they are pinned here, byte for byte."""

from __future__ import annotations

import hashlib
import io

import pydicom

from streams.stored_file import stored_file
from tests.routers import CT, EXPLICIT, Ct

# Group length, version, SOP class, SOP instance, transfer syntax, implementation class UID and version name.
META = (
    b"\x02\x00\x00\x00UL\x04\x00\xa4\x00\x00\x00"
    b"\x02\x00\x01\x00OB\x00\x00\x02\x00\x00\x00\x00\x01"
    b"\x02\x00\x02\x00UI\x1a\x001.2.840.10008.5.1.4.1.1.2\x00"
    b"\x02\x00\x03\x00UI\n\x001.2.3.4.5\x00"
    b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\x00"
    b"\x02\x00\x12\x00UI,\x002.25.188153849471577173041411818659050633527"
    b"\x02\x00\x13\x00SH\n\x00RADSTREAM "
)


def test_everything_before_the_data_set_is_pinned() -> None:
    data = stored_file(CT, "1.2.3.4.5", EXPLICIT, b"data set")

    assert data == bytes(128) + b"DICM" + META + b"data set"


def test_a_reader_that_is_not_ours_reads_it() -> None:
    read = pydicom.dcmread(io.BytesIO(stored_file(CT, "1.2.3.4.5", EXPLICIT, Ct().data_set())))

    assert read.file_meta.MediaStorageSOPClassUID == CT
    assert read.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4.5"
    assert read.file_meta.TransferSyntaxUID == EXPLICIT
    assert read.file_meta.ImplementationVersionName == "RADSTREAM"
    assert read.file_meta.FileMetaInformationGroupLength == len(stored_file(CT, "1.2.3.4.5", EXPLICIT, b"")) - 144
    assert read.PatientName == "Doe^Jane"


def test_the_digest_covers_sop_class_transfer_syntax_and_data_set() -> None:
    files = {
        stored_file(CT, "1.2.3", EXPLICIT, b"a"),
        stored_file(CT + ".1", "1.2.3", EXPLICIT, b"a"),
        stored_file(CT, "1.2.3", EXPLICIT + ".1", b"a"),
        stored_file(CT, "1.2.3", EXPLICIT, b"b"),
    }
    assert len({hashlib.sha256(file).hexdigest() for file in files}) == 4


def test_unusable_uids_leave_empty_elements() -> None:
    read = pydicom.dcmread(io.BytesIO(stored_file("", "", EXPLICIT, Ct().data_set())))
    assert not read.file_meta.MediaStorageSOPInstanceUID

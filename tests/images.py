"""Small DICOM files made for tests: no person's images, no person's names."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
STUDY, SERIES, INSTANCE = "1.2.3.1", "1.2.3.2", "1.2.3.3"
NATIVE = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "big": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
}


EMPTY = (
    *("PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID"),
    *("AccessionNumber", "SeriesNumber", "Manufacturer", "InstanceNumber"),
)
# What a CT image has to have besides (PS3.3 sections C.7.4.1, C.7.6.2 and C.8.2.1).
PLANE: dict[str, object] = {
    "FrameOfReferenceUID": "1.2.3.4",
    "PositionReferenceIndicator": None,
    "PatientPosition": None,
    "PixelSpacing": [1, 1],
    "SliceThickness": None,
    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    "ImagePositionPatient": [0, 0, 0],
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "RescaleIntercept": 0,
    "RescaleSlope": 1,
    "KVP": None,
    "AcquisitionNumber": None,
}


def data_set(**attributes: object) -> Dataset:
    """What every instance has, and more by keyword."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = CT, INSTANCE
    made.StudyInstanceUID, made.SeriesInstanceUID = STUDY, SERIES
    made.Modality, made.PatientID = "CT", "TEST"
    # What is of Type 2 in the Patient, Study, Series and Equipment modules, and not known here.
    for keyword in EMPTY:
        setattr(made, keyword, None)
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def image(pixels: NDArray[np.integer], *, bits_stored: int = 0, photometric: str = "", **attributes: object) -> Dataset:
    """An image of (frames, rows, columns) or (frames, rows, columns, 3); pixel data still to be set."""
    samples = 3 if pixels.ndim == 4 else 1
    bits = pixels.dtype.itemsize * 8
    made = data_set(
        Rows=pixels.shape[1],
        Columns=pixels.shape[2],
        SamplesPerPixel=samples,
        PhotometricInterpretation=photometric or ("RGB" if samples == 3 else "MONOCHROME2"),
        BitsAllocated=bits,
        BitsStored=bits_stored or bits,
        HighBit=(bits_stored or bits) - 1,
        PixelRepresentation=int(pixels.dtype.kind == "i"),
        **PLANE,
    )
    if "PixelAspectRatio" in attributes:
        del made.PixelSpacing  # never both (PS3.3 section C.7.6.3.1.7)
    if samples == 3:
        made.PlanarConfiguration = 0
    if pixels.shape[0] > 1:
        made.NumberOfFrames = pixels.shape[0]
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def native(pixels: NDArray[np.integer], encoding: str = "explicit", **attributes: object) -> bytes:
    """A file with the pixels as they are. `encoding` is a key of NATIVE."""
    made = image(pixels, **attributes)
    order = ">" if encoding == "big" else "<"
    raw = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    raw += b"\0" * (len(raw) % 2)
    if encoding == "big" and pixels.dtype.itemsize == 1:
        raw = np.frombuffer(raw, np.uint16).byteswap().tobytes()
    made.add_new(0x7FE00010, "OW", raw)
    return written(made, NATIVE[encoding])


def compressed(
    pixels: NDArray[np.integer], codestreams: list[bytes], syntax: str, *, table: bool = True, **attributes: object
) -> bytes:
    """A file with the codestreams as its frames."""
    made = image(pixels, **attributes)
    made.add_new(0x7FE00010, "OB", encapsulate(codestreams, has_bot=table))
    made["PixelData"].is_undefined_length = True
    return written(made, UID(syntax))


def written(made: Dataset, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    """A file as the router stores it, but for the constants of its header."""
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = made.get("SOPClassUID", CT)
    made.file_meta.MediaStorageSOPInstanceUID = made.get("SOPInstanceUID", INSTANCE)
    made.file_meta.TransferSyntaxUID = syntax
    out = io.BytesIO()
    pydicom.dcmwrite(out, made, enforce_file_format=True)
    return out.getvalue()


def raw_file(body: bytes, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """A file whose data set is these bytes, whatever they are."""
    head = written(Dataset(), UID(syntax))
    (group_length,) = struct.unpack_from("<I", head, 140)
    return head[: 144 + group_length] + body


def deflated(body: bytes) -> bytes:
    """Raw deflate, as PS3.5 annex A.5 has it."""
    squeezer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return squeezer.compress(body) + squeezer.flush()

"""What the readers read, and what must come back of it: worked out of what was sent, and of nothing served."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

import imagecodecs
import numpy as np
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, MultiFrameGrayscaleWordSecondaryCaptureImageStorage

from radstream.items import Item
from streams.file_head import split
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from streams.stored_file import stored_file
from tests.images import CT, compressed, native

# Of slices, and of what is larger than the gateway reads whole for a part of it.
SLICES, SIDE = (9, 5, 4), 128
LARGE, LARGE_FRAMES, LARGE_SIDE = 2, 9, 512
PADDED = 2


@dataclass(frozen=True)
class Image:
    """`frames` as they are stored, `pixels` as native little endian; `data_set` as it was sent."""

    patient: str
    study: str
    series: str
    uid: str
    sop_class: str
    syntax: str
    number: int
    data_set: bytes
    frames: Sequence[bytes]
    pixels: Sequence[bytes]

    @property
    def path(self) -> str:
        return f"/studies/{self.study}/series/{self.series}/instances/{self.uid}"

    @property
    def file(self) -> bytes:
        return stored_file(self.sop_class, self.uid, self.syntax, self.data_set)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the stored file."""
        return sha256(self.file)

    @property
    def is_native(self) -> bool:
        return self.syntax == EXPLICIT_VR_LITTLE_ENDIAN

    @property
    def item(self) -> Item:
        return Item(self.uid, self.sop_class, self.uid, self.syntax, lambda: self.data_set)


@dataclass(frozen=True)
class Study:
    uid: str
    patient: str
    images: Sequence[Image]

    def series(self) -> dict[str, list[Image]]:
        found: dict[str, list[Image]] = {}
        for image in self.images:
            found.setdefault(image.series, []).append(image)
        return found


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def studies(seed: int) -> tuple[Study, Study]:
    """One of slices, in a series for each of three transfer syntaxes; and one of few images of many frames."""
    chance = random.Random(f"{seed}/studies")
    return _study(chance, "SLICES", SLICES, 1, SIDE), _study(chance, "LARGE", (LARGE,), LARGE_FRAMES, LARGE_SIDE)


def small(seed: int, number: int) -> Study:
    """One image, to be sent while others read."""
    return _study(random.Random(f"{seed}/{number}"), f"NEW{number}", (1,), 1, 16)


def _study(chance: random.Random, patient: str, counts: Sequence[int], frames: int, side: int) -> Study:
    uid = f"2.25.{chance.getrandbits(100)}"
    syntaxes = (EXPLICIT_VR_LITTLE_ENDIAN, str(JPEG2000Lossless), str(JPEGLSLossless))
    images = [
        _image(chance, patient, uid, series, number, syntax, frames, side)
        for series, (count, syntax) in enumerate(zip(counts, syntaxes, strict=False), 1)
        for number in range(1, count + 1)
    ]
    return Study(uid, patient, images)


def _image(
    chance: random.Random, patient: str, study: str, series: int, number: int, syntax: str, frames: int, side: int
) -> Image:
    """Noise: what comes of one image is never that of another."""
    pixels = np.frombuffer(chance.randbytes(2 * frames * side * side), np.uint16).reshape((frames, side, side)) >> 4
    sop_class = CT if frames == 1 else str(MultiFrameGrayscaleWordSecondaryCaptureImageStorage)
    uid = f"{study}.{series}.{number}"
    said: dict[str, object] = {
        "SOPClassUID": sop_class,
        "SOPInstanceUID": uid,
        "StudyInstanceUID": study,
        "SeriesInstanceUID": f"{study}.{series}",
        "PatientID": patient,
        "PatientName": f"READER^{patient}",
        "Modality": "CT" if frames == 1 else "OT",
        "StudyDate": "20261130",
        "SeriesNumber": series,
        "SeriesDescription": f"Series {series} of {patient}",
        "InstanceNumber": number,
    }
    stored = [pixels[frame].astype("<u2").tobytes() for frame in range(frames)]
    if syntax == EXPLICIT_VR_LITTLE_ENDIAN:
        file, coded = native(pixels, bits_stored=12, **said), stored
    else:
        coded = [_coded(frame, syntax) for frame in pixels]
        file = compressed(pixels, coded, syntax, bits_stored=12, **said)
    _, start = split(file)
    return Image(patient, study, f"{study}.{series}", uid, sop_class, syntax, number, file[start:], coded, stored)


def _coded(frame: np.ndarray[tuple[int, ...], np.dtype[np.uint16]], syntax: str) -> bytes:
    if syntax == JPEG2000Lossless:
        data = bytes(imagecodecs.jpeg2k_encode(frame, level=0, reversible=True, codecformat="j2k"))
    else:
        data = bytes(imagecodecs.jpegls_encode(frame))
    return data + b"\0" * (len(data) % PADDED)

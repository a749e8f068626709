"""A NIfTI file (.nii, .nii.gz) opened so that a slice at a time is read from disk."""

from __future__ import annotations

import gzip
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np

from radstream.importing.libraries import library
from radstream.importing.made import Refused
from radstream.importing.volume_geometry import Geometry, of_affine
from radstream.importing.volume_values import Values

VOLUME_BYTES_MAX: Final = 16 << 30
SLICES_MAX: Final = 100_000
GZIP: Final = b"\x1f\x8b"
_HEADER_BYTES: Final = 544
_CHUNK: Final = 1 << 20
_MM: Final = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}
_SLACK: Final = 1 << 20  # extensions of the header


@dataclass(frozen=True)
class Volume:
    """`voxels` is (columns, rows, slices, times) as the file stores them, on disk until a slice of it is asked for."""

    voxels: Values
    slope: float
    intercept: float
    geometry: Geometry
    between_times_s: float

    @property
    def slices(self) -> int:
        return int(self.voxels.shape[2])

    @property
    def times(self) -> int:
        return int(self.voxels.shape[3])

    def slice(self, nth: int, time: int) -> Values:
        """(rows, columns), counted from 0 in the order of `geometry`."""
        columns, rows, slices = self.geometry.flips
        at = self.slices - 1 - nth if slices else nth
        found = self.voxels[:: -1 if columns else 1, :: -1 if rows else 1, at, time]
        return np.asarray(found).T

    def all_slices(self) -> Iterator[Values]:
        for time in range(self.times):
            for nth in range(self.slices):
                yield self.slice(nth, time)


@contextmanager
def opened(path: Path) -> Iterator[Volume]:
    """Raises Refused. A compressed file is unpacked into a temporary one, as far as its header says and no further."""
    nibabel = library("nibabel", "a NIfTI volume")
    with path.open("rb") as file:
        packed = file.read(2) == GZIP
    header = _header(nibabel, path, packed=packed)
    offset = int(header.get_data_offset())
    if packed:
        with tempfile.TemporaryFile(prefix="radstream-import-") as plain:
            _unpack(path, plain, _size(header) + max(offset, 0))
            yield _volume(header, plain, offset)
    else:
        with path.open("rb") as file:
            if file.seek(0, 2) < offset + _size(header):
                raise Refused("it has fewer voxels than its header says; it was cut off")
            yield _volume(header, file, offset)


def _header(nibabel: Any, path: Path, *, packed: bool) -> Any:
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            head = file.read(_HEADER_BYTES)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise Refused("it cannot be unpacked; it is damaged or was cut off") from None
    two = any(int.from_bytes(head[:4], order) == 540 for order in ("little", "big"))
    kind = nibabel.Nifti2Header if two else nibabel.Nifti1Header
    try:
        header = kind(head[: 540 if two else 348], check=False)
        shape, dtype = header.get_data_shape(), header.get_data_dtype()
    except Exception:  # noqa: BLE001 - a library's reader of foreign bytes raises whatever it likes
        raise Refused("its header cannot be read as NIfTI; it is damaged") from None
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise Refused("its voxels are colours, complex numbers or of 128 bits; convert them to numbers first")
    if not 2 <= len(shape) <= 7 or min(shape) < 1 or prod(shape[4:]) != 1:
        raise Refused("it is not of two, three or four dimensions; divide it")
    if max(shape[:2]) > 65_535 or prod(shape[2:]) > SLICES_MAX:
        raise Refused("it has more than 65,535 rows or columns, or more than 100,000 slices")
    if _size(header) > VOLUME_BYTES_MAX:
        raise Refused("its header claims more than 16 GB of voxels")
    return header


def _size(header: Any) -> int:
    return int(prod(header.get_data_shape()) * header.get_data_dtype().itemsize)


def _unpack(path: Path, plain: Any, wanted: int) -> None:
    """Raises Refused where the file holds less than its header says, or much more."""
    written = 0
    try:
        with gzip.open(path) as file:
            while written <= wanted + _SLACK and (chunk := file.read(_CHUNK)):
                written += plain.write(chunk)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise Refused("it cannot be unpacked; it is damaged or was cut off") from None
    if written < wanted:
        raise Refused("it has fewer voxels than its header says; it was cut off")
    if written > wanted + _SLACK:
        raise Refused("it unpacks to more than its header says; it is damaged")
    plain.flush()


def _volume(header: Any, file: Any, offset: int) -> Volume:
    if not int(header["qform_code"]) and not int(header["sform_code"]):
        raise Refused("it does not say where it lies in the patient (sform and qform are 0); mend its header")
    shape = (*header.get_data_shape(), 1, 1)[:4]
    try:
        space, time = header.get_xyzt_units()
        affine = header.get_best_affine()
        slope, intercept = header.get_slope_inter()
    except Exception:  # noqa: BLE001 - a library's reader of foreign bytes raises whatever it likes
        raise Refused("its units, scale or geometry cannot be read; mend its header") from None
    voxels = np.memmap(file, dtype=header.get_data_dtype(), mode="r", offset=offset, shape=shape, order="F")
    seconds = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}.get(time, 0.0)
    zooms = header.get_zooms()
    return Volume(
        voxels=voxels,
        slope=1.0 if slope is None else float(slope),
        intercept=0.0 if intercept is None else float(intercept),
        geometry=of_affine(affine, shape[:3], _MM.get(space, 1.0)),
        between_times_s=float(zooms[3]) * seconds if len(zooms) > 3 else 0.0,
    )

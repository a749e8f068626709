"""Others' programs as readers of DICOM files: what they say is wrong with one, and which pixels they see."""

from __future__ import annotations

import io
import shutil
import subprocess
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError
from pydicom.pixels.utils import pixel_array

PROGRAMS = {"dciodvfy": "dicom3tools", "gdcmconv": "libgdcm-tools", "dcmdjpls": "dcmtk"}
JPEG_2000_LOSSLESS = b"1.2.840.10008.1.2.4.90"
Pixels = NDArray[np.integer]


def absent() -> list[str]:
    """What is not installed, and in which of Debian's packages it is."""
    absent = [f"{name} (apt-get install {package})" for name, package in PROGRAMS.items() if not shutil.which(name)]
    return absent if find_spec("openjpeg") else [*absent, "openjpeg (pip install pylibjpeg pylibjpeg-openjpeg)"]


def errors(data: bytes, folder: Path) -> set[str]:
    """Lines of dciodvfy that begin with Error, where colour is not allowed under one name: RGB."""
    file = folder / "asked.dcm"
    file.write_bytes(data)
    done = subprocess.run(["dciodvfy", "-new", str(file)], capture_output=True, check=False, timeout=60)
    lines = (done.stdout + done.stderr).decode("latin-1").splitlines()
    return {line.replace("<YBR_RCT>", "<RGB>") for line in lines if line.startswith("Error")}


def as_jpeg_2000(data: bytes, syntax: str) -> bytes:
    """A file in HTJ2K under the name of JPEG 2000, which HTJ2K's codestream is a part of, for programs that are older.

    dciodvfy of 2022 does not know its transfer syntaxes, nor does GDCM 3.0.21, whose OpenJPEG 2.5 decodes it.
    """
    name = syntax.encode("ascii")
    at, length = data.index(name), len(name) + len(name) % 2
    return data[:at] + JPEG_2000_LOSSLESS.ljust(length, b"\0") + data[at + length :]


def by_pydicom(data: bytes, _: Path) -> Pixels | None:
    """All frames as they are stored, colour as it is coded; None where they cannot be read."""
    with warnings.catch_warnings():
        # Foreign files hold values that pydicom warns of, in the source as in the copy.
        warnings.simplefilter("ignore")
        try:
            return pixel_array(pydicom.dcmread(io.BytesIO(data)), raw=True)
        except (RuntimeError, ValueError, AttributeError, NotImplementedError, InvalidDicomError):
            return None


def by_gdcm(data: bytes, folder: Path) -> Pixels | None:
    return _made_native(["gdcmconv", "--raw", "-i"], ["-o"], data, folder)


def by_dcmtk(data: bytes, folder: Path) -> Pixels | None:
    return _made_native(["dcmdjpls"], [], data, folder)


READERS: dict[str, Callable[[bytes, Path], Pixels | None]] = {
    "pydicom": by_pydicom,
    "gdcm": by_gdcm,
    "dcmtk": by_dcmtk,
}


def _made_native(command: list[str], between: list[str], data: bytes, folder: Path) -> Pixels | None:
    """A program that writes the file anew with native pixels."""
    source, made = folder / "read.dcm", folder / "made.dcm"
    source.write_bytes(data)
    made.unlink(missing_ok=True)
    subprocess.run([*command, str(source), *between, str(made)], capture_output=True, check=False, timeout=60)
    return by_pydicom(made.read_bytes(), folder) if made.exists() else None

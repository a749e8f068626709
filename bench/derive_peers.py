"""Who else makes lossless copies: a program that reads a file and writes another, or pydicom in this process."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pydicom
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from radstream.errors import Failure


@dataclass(frozen=True)
class Program:
    """`arguments` stand before the file to read and the one to write. Its start is part of every copy."""

    name: str
    what: str
    program: str
    arguments: Sequence[str]
    install: str

    @property
    def missing(self) -> str | None:
        return None if shutil.which(self.program) else "not installed"

    @property
    def version(self) -> str:
        told = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=False, timeout=30)
        lines = (line.strip("$ ").partition(" $")[0] for line in (told.stdout + told.stderr).splitlines())
        return next(filter(None, lines), "unknown")

    def copy(self, source: Path, made: Path) -> tuple[int, float]:
        """Bytes of the copy, and CPU seconds of the process. Raises Failure."""
        command = [self.program, *self.arguments, *self._files(source, made)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0 or not made.exists():
            raise Failure(f"{self.name}: {' '.join(command)} ended with {process.returncode}")
        return made.stat().st_size, usage.ru_utime + usage.ru_stime

    def _files(self, source: Path, made: Path) -> Sequence[str]:
        return ("-i", str(source), "-o", str(made)) if self.program == "gdcmconv" else (str(source), str(made))


@dataclass(frozen=True)
class Library:
    """pydicom's `compress` in one thread: pylibjpeg-openjpeg crashed where two encoded at once."""

    name: str
    what: str
    transfer_syntax: pydicom.uid.UID
    modules: Sequence[str]
    packages: Sequence[str]

    @property
    def missing(self) -> str | None:
        return None if all(find_spec(name) for name in self.modules) else "not installed"

    @property
    def install(self) -> str:
        return f"pip install {' '.join(self.packages)}"

    @property
    def version(self) -> str:
        return ", ".join(f"{name} {_version(name)}" for name in ("pydicom", *self.packages))

    def copy(self, data: bytes) -> int:
        """Bytes of the copy."""
        image = pydicom.dcmread(io.BytesIO(data))
        image.compress(self.transfer_syntax, generate_instance_uid=False)
        out = io.BytesIO()
        image.save_as(out)
        return out.tell()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


PEERS: Final[Mapping[str, Program | Library]] = {
    peer.name: peer
    for peer in (
        Program("dcmcjpls", "JPEG-LS", "dcmcjpls", (), "apt-get install dcmtk"),
        Program("gdcmconv-jpegls", "JPEG-LS", "gdcmconv", ("--jpegls",), "apt-get install libgdcm-tools"),
        Program("gdcmconv-j2k", "JPEG 2000", "gdcmconv", ("--j2k",), "apt-get install libgdcm-tools"),
        Library("pydicom-rle", "RLE", RLELossless, (), ()),
        Library("pydicom-jpegls", "JPEG-LS", JPEGLSLossless, ("jpeg_ls",), ("pyjpegls",)),
        Library(
            "pydicom-j2k", "JPEG 2000", JPEG2000Lossless, ("pylibjpeg", "openjpeg"), ("pylibjpeg", "pylibjpeg-openjpeg")
        ),
    )
}

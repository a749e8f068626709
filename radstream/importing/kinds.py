"""Which format a file is in: by its first bytes, since names lie."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final

from radstream.importing.libraries import library
from radstream.importing.made import How, Refused, Source
from radstream.importing.tiff import PAGES_MAX
from radstream.importing.volume_file import GZIP

_HEAD_BYTES: Final = 352
_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_NIFTI: Final = (b"n+1\0", b"n+2\0")
_SLIDES: Final = (".mrxs", ".vms", ".vmu", ".czi", ".ndpi", ".svs", ".scn", ".bif", ".svslide")


def source_of(path: Path, how: How) -> Source:
    """Raises Refused for a file that cannot be imported, Failure where a library is missing, OSError."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    read = _reader(path, head)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return read(path, digest, how)


def _reader(path: Path, head: bytes) -> Callable[[Path, str, How], Source]:
    if not head:
        raise Refused("it is empty")
    if head[128:132] == b"DICM":
        raise Refused("it is DICOM already: radstream send")
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _of("png")
    if head.startswith(b"\xff\xd8\xff"):
        return _of("jpeg")
    if head[4:8] == b"ftyp":
        return _of("video")
    if head[:4] in _TIFF or path.suffix.lower() in _SLIDES:
        return _of("slides" if _is_slide(path) else "tiff")
    if head[:2] == GZIP or head[344:348] in _NIFTI or head[4:8] in _NIFTI:
        return _of("volumes")
    if head[344:348] in (b"ni1\0", b"ni2\0"):
        raise Refused("its voxels are in a file of their own (.hdr and .img); save it as one file, .nii")
    raise Refused("it is none of NIfTI, whole-slide image, TIFF, PNG, JPEG and MP4")


def _is_slide(path: Path) -> bool:
    """A pyramid of tiles, or whatever else OpenSlide knows the maker of."""
    if path.suffix.lower() in _SLIDES:
        return True
    tifffile = library("tifffile", "a TIFF picture")
    try:
        with tifffile.TiffFile(path) as opened:
            first = opened.pages[0]
            smaller = [
                page for page in opened.pages[1:PAGES_MAX] if page.is_tiled and page.imagewidth < first.imagewidth
            ]
            return bool(first.is_tiled and smaller)
    except Exception:  # noqa: BLE001 - a library's reader of foreign bytes raises whatever it likes
        return False


def _of(module: str) -> Callable[[Path, str, How], Source]:
    read: Callable[[Path, str, How], Source] = import_module(f"radstream.importing.{module}").source
    return read

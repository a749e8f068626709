"""The bounded reader of the first tags (PS3.5 chapter 7): the values of its tags are those that pydicom reads.

Compared is what both accept: elements that ascend, with VRs that there are, which pydicom reads without a warning.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

from pydicom.dataelem import RawDataElement
from pydicom.filereader import data_element_generator

from producers.dicom_router import tags
from producers.dicom_router.header import _WANTED, SERIES_BLOCK, STUDY_BLOCK, Header, read_header, shown_transfer_syntax
from streams.elements import LONG_VRS, SHORT_VRS, UNDEFINED_LENGTH
from streams.part10 import DEFLATED, EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from tests.routers import Ct, explicit

INPUT_BYTES_MAX: Final = 1 << 16
WORDS: Final = (
    *(b"\x08\0\x05\0", b"\x08\0\x16\0", b"\x08\0\x18\0", b"\x08\0\x60\0", b"\x10\0\x10\0", b"\x20\0\x0d\0"),
    *(b"\x20\0\x0e\0", b"\x28\0\x03\x01US\2\0", b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff", b"\xfe\xff\0\xe0"),
    *(b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0", b"\xff\xff\xff\xff", b"UN\0\0", b"OB\0\0", b"UI"),
    *(b"ISO_IR 192", b"\\ISO 2022 IR 87", b"\x1b$B", b"\x1b(B"),
)
_SYNTAXES: Final = (
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    min(DEFLATED),
)
_CORPUS: Final = Path(__file__).resolve().parents[4] / "shared" / "corpus" / "files"
_FILES_MAX, _FILE_BYTES_MAX = 60, 4096


def seeds() -> Iterator[bytes]:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    yield b"\0" + Ct().implicit_data_set()
    yield b"\1" + Ct().data_set()
    yield b"\2" + b"".join(explicit(tag, vr, value, ">") for tag, vr, value in Ct().elements())
    yield b"\3" + deflater.compress(Ct().data_set()) + deflater.flush()
    item = struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED_LENGTH) + explicit(0x00080018, b"UI", b"9.9")
    ends = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    yield b"\1\x08\0\0\1SQ\0\0\xff\xff\xff\xff" + item + ends + Ct().data_set()
    for head in corpus_heads():
        yield b"\1" + head.partition(b"DICM")[2]


def corpus_heads() -> Iterator[bytes]:
    """How foreign files begin, where the shared corpus is beside the checkout."""
    files = sorted(path for path in _CORPUS.rglob("*") if path.is_file()) if _CORPUS.is_dir() else []
    for path in files[:: max(1, len(files) // _FILES_MAX)]:
        yield path.read_bytes()[:_FILE_BYTES_MAX]


def check(data: bytes) -> None:
    """The first byte says the transfer syntax."""
    syntax, data = _SYNTAXES[data[0] % 4 if data else 0], data[1:]
    header = read_header(memoryview(data), syntax)
    assert header == read_header(data, syntax)
    assert set(header.values) <= _WANTED
    assert all(len(value) <= tags.VALUE_BYTES_MAX for value in header.values.values())
    header.technical()
    for block in (STUDY_BLOCK, SERIES_BLOCK):
        assert all(text and "\0" not in text[:1] for text in header.protected(block).values())
    shown_transfer_syntax(header)
    if syntax not in DEFLATED:
        _check_by_pydicom(data, header)


def _check_by_pydicom(data: bytes, header: Header) -> None:
    encoding = header.encoding
    read = _by_pydicom(data, encoding.explicit, encoding.byte_order == "little")
    if read is not None:
        assert dict(header.values) == read


def _by_pydicom(data: bytes, is_explicit: bool, is_little: bool) -> dict[int, bytes] | None:
    """Raw values by tag; None where pydicom does not read it, or not in one way alone."""
    found: dict[int, bytes] = {}
    last, end = -1, 0
    stream = BytesIO(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for element in data_element_generator(stream, not is_explicit, is_little):
                tag = int(element.tag)
                if tag > max(_WANTED):
                    return found
                if (
                    tag <= last
                    or not isinstance(element, RawDataElement)
                    or not _plain(data, end, element, is_explicit)
                ):
                    return None
                last, end = tag, stream.tell()
                value = element.value or b""
                if tag in _WANTED and len(value) <= tags.VALUE_BYTES_MAX:
                    found[tag] = value
    except Exception:  # noqa: BLE001 - whatever it does not read, it has no opinion on
        return None
    return found if end == len(data) else None


def _plain(data: bytes, start: int, element: RawDataElement, is_explicit: bool) -> bool:
    """Whether an element is of a length that it says, with a VR that there is: nobody has to guess."""
    vr = data[start + 4 : start + 6]
    known = not is_explicit or vr in SHORT_VRS or vr in LONG_VRS
    return known and element.length != UNDEFINED_LENGTH and len(element.value or b"") == element.length

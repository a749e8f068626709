"""The whole judgement of the validate step on a file: a verdict whatever the bytes are, and nothing of them in it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from consumers.validate import iod
from consumers.validate.config import Limits
from consumers.validate.judging import judged
from consumers.validate.rules import FINDINGS_MAX, RULES, at_site
from tests import images
from tests.fuzz.targets.data_set_tags import corpus_heads

INPUT_BYTES_MAX: Final = 1 << 16
WORDS: Final = (
    *(b"\x08\0\x05\0CS", b"ISO_IR 192", b"ISO_IR 13", b"GB18030", b"\\ISO 2022 IR 87", b"\\ISO 2022 IR 149", b"\x1b$B"),
    *(b"\x1b$(D", b"\x1b$)C", b"\x1b(B", b"\x1b-F", b"\xfe\xff\0\xe0", b"\xfe\xff\x0d\xe0\0\0\0\0"),
    *(b"\xfe\xff\xdd\xe0\0\0\0\0", b"\xff\xff\xff\xff", b"SQ\0\0", b"UN\0\0", b"UT\0\0", b"DS", b"IS", b"PN", b"AT"),
    *(b"\x40\0\x30\xa7", b"\x09\0\x10\0LO", b"\\\\\\\\", b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1.99"),
)
# A data set that inflates to more is held; here it costs what a fuzzer may spend.
_CAME: Final = datetime(2026, 11, 29, tzinfo=UTC)
_LIMITS: Final = Limits(inflated_bytes_max=1 << 20, elements_max=50_000)


def seeds() -> Iterator[bytes]:
    pixels = np.zeros((2, 4, 4), np.uint16)
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "DCM", "a meaning"
    item = Dataset()
    item.ConceptNameCodeSequence = Sequence([code, code])
    for encoding in images.NATIVE:
        yield images.native(
            pixels,
            encoding,
            SpecificCharacterSet=["", "ISO 2022 IR 87"],
            PatientName="Yamada^Tarou=山田^太郎",
            PatientAge="018M",
            StudyDate="20240229",
            StudyTime="120000.5",
            ImageType=["ORIGINAL", "PRIMARY"],
            PixelSpacing=["0.5", "1e-3"],
            ContentSequence=Sequence([item]),
        )
    yield images.raw_file(b"".join(_short(0x00180050 + tag, b"DS", b"1\\2\\3 ") for tag in range(9)))
    yield from corpus_heads()


def _short(tag: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def check(data: bytes) -> None:
    verdict = judged(data, _LIMITS, _CAME)
    assert verdict == judged(data, _LIMITS, _CAME)
    if verdict.held:
        assert verdict.held.code
        assert verdict.held.detail.endswith(".")
    assert {finding.rule for finding in verdict.findings} <= RULES.keys()
    assert len(at_site(verdict.findings)) <= FINDINGS_MAX
    for finding in verdict.findings:
        assert finding.rule in iod.RULES or finding.text == RULES[finding.rule].text
        # A place is digits and what is between them.
        assert finding.tag is None or not finding.tag.strip("0123456789ABCDEF,/[]")

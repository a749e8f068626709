"""Is the file something else as well? (PS3.10 section 7.1, where an application may use the preamble as it likes)

A preamble that begins like a program makes one file both an image and what a desktop would run. The router never keeps
a preamble, so of what was received this can be true only where the store was written to past the router; a file on a
disc may be so.
"""

from __future__ import annotations

from collections.abc import Iterator

from consumers.validate.rule import Broken, Rule
from streams.part10 import Part10

RULES = {
    "preamble_program": Rule(
        "error",
        "PS3.10 7.1",
        "The file begins like a program, an archive or a page: do not open it with anything but a DICOM viewer.",
    ),
}

_PREAMBLE_BYTES = 128
# How they begin: PE, ELF, Mach-O in both orders and both widths, Mach-O for several machines and Java, scripts, ZIP,
# PDF, and 7z. TIFF is missing on purpose: whole-slide files are legally both (PS3.10 section 7.1).
_STARTS = (
    b"MZ",
    b"\x7fELF",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"#!",
    b"PK\x03\x04",
    b"%PDF-",
    b"7z\xbc\xaf\x27\x1c",
)
_MARKUP = (b"<!doctype", b"<html", b"<script", b"<?php", b"<svg")


def check(file: Part10) -> Iterator[Broken]:
    """Of a deflated file only the data set is at hand."""
    if file.start > _PREAMBLE_BYTES and is_program(file.data[:_PREAMBLE_BYTES]):
        yield "preamble_program", None


def is_program(preamble: bytes) -> bool:
    """Whether a preamble begins like something that a desktop runs or opens. PDF may begin a little later."""
    if preamble.startswith(_STARTS) or b"%PDF-" in preamble:
        return True
    return preamble.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_MARKUP)

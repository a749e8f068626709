"""What the 128 bytes in front of a DICOM file are, which an application may use as it likes (PS3.10 section 7.1)."""

from __future__ import annotations

from typing import Final, Literal

PREAMBLE_BYTES: Final = 128
Kind = Literal["program", "tiff", "other"]
# How they begin: PE, ELF, Mach-O in both orders and both widths, Mach-O for several machines and Java, scripts, ZIP,
# PDF, and 7z.
_PROGRAMS: Final = (
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
_MARKUP: Final = (b"<!doctype", b"<html", b"<script", b"<?php", b"<svg")
# Whole-slide files are legally both; BigTIFF is version 43.
_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def kind_of(preamble: bytes) -> Kind | None:
    """None where there is nothing in it: `program` is what a desktop runs or opens."""
    if not preamble.strip(b"\0"):
        return None
    if is_program(preamble):
        return "program"
    return "tiff" if preamble.startswith(_TIFF) else "other"


def is_program(preamble: bytes) -> bool:
    """Whether a preamble begins like something that a desktop runs or opens. PDF may begin a little later."""
    if preamble.startswith(_PROGRAMS) or b"%PDF-" in preamble:
        return True
    return preamble.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_MARKUP)

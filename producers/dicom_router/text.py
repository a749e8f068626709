"""Text of a data set, by its Specific Character Set (0008,0005) (PS3.5 section 6.1)."""

from __future__ import annotations

from pydicom.charset import decode_bytes, default_encoding, python_encoding

# Each of these resets the code extension (PS3.5 section 6.1.2.5.3): control characters, and `^` and `=` of a PN.
_DELIMITERS = frozenset(b"\t\n\f\r^=\\")


def decoded(value: bytes, character_sets: bytes) -> str:
    """The text of a value, without its padding. Bytes that the character sets do not explain become U+FFFD."""
    encodings = [_encoding(name) for name in character_sets.decode("latin-1").split("\\")]
    if b"\x1b" in value:
        return _extended(value, encodings).strip("\x00 ")
    return value.decode(encodings[0], "replace").strip("\x00 ")


def _encoding(name: str) -> str:
    """Python's name of a defined term; spellings with '-' and '_' mixed up are common."""
    term = name.strip("\x00 ").upper().replace("ISO-IR", "ISO_IR").replace("ISO IR", "ISO_IR")
    return python_encoding.get(term, default_encoding)


def _extended(value: bytes, encodings: list[str]) -> str:
    """Text with escape sequences; pydicom warns where it has to replace bytes."""
    try:
        return decode_bytes(value, encodings, set(_DELIMITERS))
    except (LookupError, UnicodeError, UserWarning):
        return value.decode(default_encoding, "replace")

"""What bytes may be in a text: Specific Character Set (PS3.3 section C.12.1.1.2; PS3.5 section 6.1, annexes H to K)."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

# Python's names of codecs by the terms of tables C.12-2 (one byte) and C.12-5 (several bytes).
_SINGLE = {
    "ISO_IR 100": "iso8859_1",
    "ISO_IR 101": "iso8859_2",
    "ISO_IR 109": "iso8859_3",
    "ISO_IR 110": "iso8859_4",
    "ISO_IR 144": "iso8859_5",
    "ISO_IR 127": "iso8859_6",
    "ISO_IR 126": "iso8859_7",
    "ISO_IR 138": "iso8859_8",
    "ISO_IR 148": "iso8859_9",
    "ISO_IR 203": "iso8859_15",
    "ISO_IR 13": "shift_jis",
    "ISO_IR 166": "tis_620",
    "ISO_IR 6": "ascii",
    "": "ascii",
}
_ALONE = {"ISO_IR 192": "utf_8", "GB18030": "gb18030", "GBK": "gbk"}
# An escape, whether it is for G0 (bytes without the high bit), the codec, and what that wants in front of the bytes.
Extension = tuple[bytes, bool, str, bytes]
# With code extensions: what each term lets a text switch to (tables C.12-3 and C.12-4).
_ESCAPES: dict[str, tuple[Extension, ...]] = {
    "ISO 2022 IR 6": ((b"(B", True, "ascii", b""),),
    "ISO 2022 IR 100": ((b"-A", False, "iso8859_1", b""),),
    "ISO 2022 IR 101": ((b"-B", False, "iso8859_2", b""),),
    "ISO 2022 IR 109": ((b"-C", False, "iso8859_3", b""),),
    "ISO 2022 IR 110": ((b"-D", False, "iso8859_4", b""),),
    "ISO 2022 IR 144": ((b"-L", False, "iso8859_5", b""),),
    "ISO 2022 IR 127": ((b"-G", False, "iso8859_6", b""),),
    "ISO 2022 IR 126": ((b"-F", False, "iso8859_7", b""),),
    "ISO 2022 IR 138": ((b"-H", False, "iso8859_8", b""),),
    "ISO 2022 IR 148": ((b"-M", False, "iso8859_9", b""),),
    "ISO 2022 IR 203": ((b"-b", False, "iso8859_15", b""),),
    "ISO 2022 IR 13": ((b")I", False, "shift_jis", b""), (b"(J", True, "ascii", b"")),
    "ISO 2022 IR 166": ((b"-T", False, "tis_620", b""),),
    "ISO 2022 IR 87": ((b"$B", True, "iso2022_jp", b"\x1b$B"),),
    "ISO 2022 IR 159": ((b"$(D", True, "iso2022_jp_1", b"\x1b$(D"),),
    "ISO 2022 IR 149": ((b"$)C", False, "euc_kr", b""),),
    "ISO 2022 IR 58": ((b"$)A", False, "gb2312", b""),),
}
# Every one of them lets ASCII come back.
_BACK = (b"(B", True, "ascii", b"")
# Of JIS X 0201 the half-width katakana alone; Python's Shift JIS takes other bytes for halves of kanji.
_NOT_KATAKANA = re.compile(rb"[\x80-\xa0\xe0-\xff]")


class Undecodable(Exception):
    """Bytes that mean nothing in the character set. `rule` is the name of what they break."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(frozen=True)
class Repertoire:
    """What a data set's texts may hold. `codec` is of bytes before any escape, `extensions` what escapes switch to.

    `known` is false where a term is not the standard's: then nothing can be said of bytes beyond ASCII.
    """

    codec: str
    declared: bool = True
    known: bool = True
    extensions: tuple[Extension, ...] = ()

    @property
    def is_wide(self) -> bool:
        """Whether the byte of a backslash may be half of another character."""
        return bool(self.extensions) or self.codec in ("gb18030", "gbk")

    def decoded(self, raw: bytes, *, cut: bool = False) -> str:
        """Raises Undecodable. `cut` says that there is more of the value."""
        if raw.isascii() and b"\x1b" not in raw:
            return raw.decode("ascii")
        if not self.known:
            return raw.decode("latin-1")
        if b"\x1b" in raw:
            if not self.extensions:
                raise Undecodable("charset_escape")
            return "".join(self._extended(raw, cut))
        return _decoded(raw, self.codec, cut, "charset_undecodable" if self.declared else "charset_missing")

    def _extended(self, raw: bytes, cut: bool) -> Iterator[str]:
        low, high = ("ascii", b""), (self.codec, b"")
        first, *parts = raw.split(b"\x1b")
        yield from _pieces(first, low, high, cut and not parts)
        for number, part in enumerate(parts, 1):
            escape, is_low, codec, before = self._extension(part)
            if is_low:
                low = (codec, before)
            else:
                high = (codec, before)
            yield from _pieces(part[len(escape) :], low, high, cut and number == len(parts))

    def _extension(self, part: bytes) -> Extension:
        for one in self.extensions:
            if part.startswith(one[0]):
                return one
        raise Undecodable("charset_escape")


ASCII = Repertoire("ascii", declared=False)
_RUNS = re.compile(rb"[\x00-\x7f]+|[\x80-\xff]+")


def _pieces(raw: bytes, low: tuple[str, bytes], high: tuple[str, bytes], cut: bool) -> Iterator[str]:
    """A part between two escapes: runs of bytes without and with the high bit."""
    for run in _RUNS.findall(raw):
        if run[0] >= 0x80:
            yield _decoded(run, high[0], cut, "charset_undecodable")
        elif low[1]:
            yield from _double(run, low, cut)
        else:
            yield run.decode("ascii")


def _double(run: bytes, low: tuple[str, bytes], cut: bool) -> Iterator[str]:
    """Two bytes a character. A control character ends the code (PS3.5 section 6.1.2.5.3), and is let be."""
    codec, before = low
    whole = run if not cut or len(run) % 2 == 0 else run[:-1]
    for piece in re.split(rb"([\x00-\x20])", whole):
        if len(piece) > 1 or (piece and piece > b"\x20"):
            try:
                yield (before + piece).decode(codec)
            except UnicodeDecodeError:
                raise Undecodable("charset_undecodable") from None
        else:
            yield piece.decode("ascii")


def _decoded(raw: bytes, codec: str, cut: bool, rule: str) -> str:
    if codec == "shift_jis" and _NOT_KATAKANA.search(raw):
        raise Undecodable(rule)
    try:
        return codecs.getincrementaldecoder(codec)("strict").decode(raw, not cut)
    except UnicodeDecodeError:
        raise Undecodable(rule) from None


@lru_cache(maxsize=256)
def repertoire_of(raw: bytes) -> tuple[Repertoire, tuple[str, ...]]:
    """What a value of Specific Character Set allows, and the names of the rules that it breaks itself."""
    terms = [term.strip(" \0") for term in raw.decode("latin-1").split("\\")]
    if len(terms) == 1:
        return _of_one(terms[0])
    return _of_several(terms)


def _of_one(term: str) -> tuple[Repertoire, tuple[str, ...]]:
    if term in _ALONE:
        return Repertoire(_ALONE[term]), ()
    if term in _SINGLE:
        return Repertoire(_SINGLE[term], declared=term != ""), ()
    if term in _ESCAPES:
        # Table C.12-3 is for several values; one alone is common, and means what the first of several does.
        return _of_several([term])
    return Repertoire("ascii", known=False), ("charset_unknown",)


def _of_several(terms: Sequence[str]) -> tuple[Repertoire, tuple[str, ...]]:
    faults: list[str] = []
    if any(term in _ALONE or (term in _SINGLE and term) for term in terms):
        faults.append("charset_combination")
    elif any(term and term not in _ESCAPES for term in terms):
        faults.append("charset_unknown")
    if faults:
        return Repertoire("ascii", known=False), tuple(faults)
    extensions = tuple(dict.fromkeys([one for term in terms if term for one in _ESCAPES[term]] + [_BACK]))
    first = next((codec for _, is_low, codec, _ in _ESCAPES.get(terms[0], ()) if not is_low), "ascii")
    return Repertoire(first, extensions=extensions), ()

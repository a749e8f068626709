"""An HL7 v2 message as fields (HL7 v2.5.1 chapter 2), read in bounded time and memory.

A value is what stands between separators, its escapes undone. Whatever is not there is an empty text: HL7 knows no
difference between a field that is absent and one that is empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

SEGMENTS_MAX: Final = 2_000
# Of all segments: a hundred orders have some 8,000. Each is an object, also where nothing is in it.
FIELDS_MAX: Final = 50_000
FIELD_MAX: Final = 65_536
REPEATS_MAX: Final = 200

# MSH-18 (table 0211), as Python names it.
_CODECS: Final[Mapping[str, str]] = {
    "UNICODE UTF-8": "utf-8",
    "UNICODE": "utf-8",
    **{f"8859/{part}": f"iso8859_{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    "JIS X0202": "iso2022_jp",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
}
# Where MSH-18 says nothing, or ASCII alone, which is the same (table 0211): senders write what that is a part of.
# What they wrote before there was Unicode comes second.
_NOTHING_SAID: Final = ("utf-8", "latin-1")
_NOT_OF_IT: Final = "the bytes are not of the character set that MSH-18 says"
_NAME: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
_LINE_END: Final = re.compile(rb"[\r\n]")
# \F\ and its like (section 2.7.1), \X0D0A\ (2.7.6), \.br\ (2.7.4); all else is left out.
_HEXADECIMAL: Final = re.compile(r"X(?:[0-9A-Fa-f]{2}){1,64}")


class BadMessage(Exception):
    """The bytes are no message that can be taken. `code` is of table 0357; the text quotes nothing of it."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True)
class Separators:
    """MSH-1 and MSH-2."""

    field: str = "|"
    component: str = "^"
    repeat: str = "~"
    escape: str = "\\"
    part: str = "&"


@dataclass(frozen=True)
class Field:
    """One repetition of a field: components, and their parts."""

    components: tuple[tuple[str, ...], ...] = ()

    def text(self, component: int = 1, part: int = 1) -> str:
        """Component and subcomponent by number, from 1."""
        parts = self.components[component - 1] if component <= len(self.components) else ()
        return parts[part - 1] if part <= len(parts) else ""


@dataclass(frozen=True)
class Segment:
    """`codecs` are those that escaped bytes may be of, the first that fits."""

    name: str
    fields: Sequence[str]
    separators: Separators
    codecs: tuple[str, ...] = _NOTHING_SAID

    def raw(self, number: int) -> str:
        return self.fields[number] if number < len(self.fields) else ""

    def repeats(self, number: int) -> list[Field]:
        """The repetitions of a field that say anything. Raises BadMessage over the ceiling."""
        raw, marks = self.raw(number), self.separators
        if len(raw) > FIELD_MAX or raw.count(marks.repeat) >= REPEATS_MAX:
            raise BadMessage("102", f"{self.name}-{number} is too long")
        return [self._field(one) for one in raw.split(marks.repeat) if one and one != '""']

    def text(self, number: int, component: int = 1, part: int = 1) -> str:
        found = self.repeats(number)
        return found[0].text(component, part) if found else ""

    def _field(self, raw: str) -> Field:
        marks = self.separators
        return Field(
            tuple(
                tuple(unescaped(part, marks, self.codecs) for part in component.split(marks.part))
                for component in raw.split(marks.component)
            )
        )


@dataclass(frozen=True)
class Message:
    segments: Sequence[Segment]

    @property
    def head(self) -> Segment:
        return self.segments[0]

    def first(self, name: str) -> Segment | None:
        return next((segment for segment in self.segments if segment.name == name), None)


def unescaped(text: str, marks: Separators, codecs: Sequence[str]) -> str:
    """Raises BadMessage for escaped bytes that are of none of the codecs."""
    if marks.escape not in text:
        return text
    said = {"F": marks.field, "S": marks.component, "R": marks.repeat, "E": marks.escape, "T": marks.part, ".br": "\n"}
    pieces = text.split(marks.escape)
    # Every second piece is an escape. One that does not end is text, with its sign: without, a number would be another.
    ends = len(pieces) - (len(pieces) % 2 == 0)
    return "".join([*_undone(pieces[:ends], said, codecs), *(marks.escape + piece for piece in pieces[ends:])]).strip()


def _undone(pieces: Sequence[str], said: Mapping[str, str], codecs: Sequence[str]) -> Iterator[str]:
    """Bytes of escapes that follow each other at once are read together: they may be of one character."""
    data = b""
    for at, piece in enumerate(pieces):
        is_escape = at % 2 == 1
        if is_escape and _HEXADECIMAL.fullmatch(piece):
            data += bytes.fromhex(piece[1:])
        elif is_escape or piece:
            yield decoded(data, codecs)
            yield said.get(piece, "") if is_escape else piece
            data = b""
    yield decoded(data, codecs)


def decoded(data: bytes, codecs: Sequence[str]) -> str:
    """By the first codec that fits. Raises BadMessage where none does."""
    for codec in codecs:
        with suppress(UnicodeDecodeError):
            return data.decode(codec)
    raise BadMessage("102", _NOT_OF_IT)


def read(data: bytes) -> Message:
    """Raises BadMessage: no MSH, unknown character set, or bytes that are not of it."""
    marks = separators(data)
    data = ended(data)
    if data.count(b"\r") > 2 * SEGMENTS_MAX or data.count(marks.field.encode()) > FIELDS_MAX:
        raise BadMessage("207", f"the message has more than {SEGMENTS_MAX} segments or {FIELDS_MAX} fields")
    head = data.split(b"\r", 1)[0].split(marks.field.encode())
    codecs = _codecs(head[17].decode("ascii", "replace") if len(head) > 17 else "", marks)
    text = decoded(data, codecs)
    lines = [line.strip("\n") for line in text.split("\r")]
    lines = [line for line in lines if line.strip()]
    if len(lines) > SEGMENTS_MAX:
        raise BadMessage("207", f"the message has more than {SEGMENTS_MAX} segments")
    return Message([_segment(line, marks, codecs) for line in lines])


def ended(data: bytes) -> bytes:
    """The message with segments that end as HL7 says, by CR (section 2.5.4). Some engines write LF alone.

    What ends MSH ends the others; behind CR, a LF is text of its segment or the second half of a line end.
    """
    found = _LINE_END.search(data)
    return data.replace(b"\n", b"\r") if found and found[0] == b"\n" else data


def separators(data: bytes) -> Separators:
    """Five different signs that are neither letters nor digits. Raises BadMessage."""
    signs = data[3:8].decode("latin-1")
    apart = len(set(signs)) == 5 and signs.isascii() and signs.isprintable()
    if data[:3] != b"MSH" or not apart or any(sign.isalnum() or sign.isspace() for sign in signs):
        raise BadMessage("100", "the message does not begin with MSH and five separators")
    return Separators(field=signs[0], component=signs[1], repeat=signs[2], escape=signs[3], part=signs[4])


def _codecs(said: str, marks: Separators) -> tuple[str, ...]:
    names = [name.strip().upper() for name in said.split(marks.repeat)]
    sets = [name for name in names if name not in ("", "ASCII")]
    if not sets:
        return _NOTHING_SAID
    # Japanese names come with escape sequences to the sets that the repetitions name.
    codec = "iso2022_jp_2" if "ISO IR87" in sets else _CODECS.get(sets[0])
    if codec is None:
        raise BadMessage("103", "MSH-18 is a character set that is not known here")
    # What is wide enough for all bytes is no test. Behind ASCII, UTF-8 may be meant; what does not fit is of the set.
    may_be_unicode = sets[0] != names[0] and codec.startswith("iso8859_")
    return ("utf-8", codec) if may_be_unicode else (codec,)


def _segment(line: str, marks: Separators, codecs: tuple[str, ...]) -> Segment:
    if not _NAME.fullmatch(line[:3]) or line[3:4] not in (marks.field, ""):
        raise BadMessage("100", "a line is no segment")
    if line.startswith("MSH"):
        # MSH-1 is the separator itself, so its fields are one on.
        return Segment("MSH", ["MSH", marks.field, *line[4:].split(marks.field)], marks, codecs)
    return Segment(line[:3], line.split(marks.field), marks, codecs)

"""An HL7 v2 message: orders of it or a reason, and an acknowledgement of whatever comes.

What the library hl7 reads as fields, we read as the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import hl7

from producers.orders.acknowledgement import acknowledgement
from producers.orders.announcing import Announcer
from producers.orders.config import Settings
from producers.orders.framing import END, START
from producers.orders.groups import orders_of
from producers.orders.message import BadMessage, Message, read
from producers.orders.order import STEPS_MAX, BadOrder
from streams.clock import SystemClock
from streams.config import Site
from tests.event_streams import SITE, TENANT, Hospital
from tests.hl7_messages import OMI, ORM, changed

INPUT_BYTES_MAX: Final = 1 << 16
WORDS: Final = (
    *(b"MSH|^~\\&", b"\rPID|", b"\rPV1|", b"\rORC|NW|", b"\rOBR|", b"\rIPC|", b"\rTQ1|", b"\rNTE|", b"\rZDS|"),
    *(b"\rAL1|||", b"\\T\\", b"\\X0D0A\\", b"\\.br\\", b'""', b"UNICODE UTF-8", b"8859/1", b"~ISO IR87", b"\x1b$B"),
)
_SETTINGS: Final = Settings(http_port=0, port=0)
_ANNOUNCER: Final = Announcer(Site(tenant=TENANT, site=SITE), Hospital().blocks, SystemClock())
_ANSWER_BYTES_MAX: Final = 4096


def seeds() -> Iterator[bytes]:
    for message in (OMI, ORM, changed(OMI, "CA"), changed(ORM, "XO"), changed(OMI, "SC")):
        yield message.encode()
    yield OMI.replace("UNICODE UTF-8", "8859/1").replace("Doe", "Döe").encode("latin-1")
    yield OMI.replace("UNICODE UTF-8", "~ISO IR87").encode()
    yield OMI.replace("Doe", r"D\XC3\\XB6\\T\e").encode()


def check(data: bytes) -> None:
    for error in ("", "102"):
        answer = acknowledgement(data, "AA", datetime(2026, 1, 1, tzinfo=UTC), SITE, error, "what is wrong")
        assert answer.startswith(b"MSH")
        assert len(answer) <= _ANSWER_BYTES_MAX
        assert not {START, END} & {answer[at : at + 1] for at in range(len(answer))}
    try:
        message = read(data)
    except BadMessage:
        return
    _check_by_hl7(message, data)
    try:
        for number, order in enumerate(orders_of(message, _SETTINGS)):
            event = _ANNOUNCER.event(order, f"said/{number}", "hl7 127.0.0.1")
            assert len(event.steps) <= STEPS_MAX
    except (BadMessage, BadOrder):
        return


def _check_by_hl7(message: Message, data: bytes) -> None:
    if any(segment.name == "MSH" for segment in message.segments[1:]):
        return  # it takes every MSH for the first
    marks = message.head.separators
    if (marks.field, marks.component, marks.repeat, marks.escape, marks.part) != ("|", "^", "~", "\\", "&"):
        return
    try:
        other = hl7.parse(data.decode("ascii"))
    except Exception:  # noqa: BLE001 - whatever it does not read, it has no opinion on
        return
    ours = [[segment.raw(number) for number in range(1, 40)] for segment in message.segments[1:]]
    theirs = [[_raw(segment, number) for number in range(1, 40)] for segment in other[1:]]
    if len(ours) == len(theirs) and b"\n" not in data:
        assert ours == theirs


def _raw(segment: hl7.Segment, number: int) -> str:
    try:
        return str(segment(number))
    except IndexError:
        return ""

"""ACK: what became of a message (HL7 v2.5.1 section 2.9.2 and tables 0008, 0357). It quotes nothing but MSH."""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from typing import Final, Literal

from producers.orders.message import BadMessage, Separators, ended, separators

Code = Literal["AA", "AE", "AR"]

ACCEPTED: Final[Code] = "AA"
ERROR: Final[Code] = "AE"
REJECTED: Final[Code] = "AR"
# Of table 0357: the message is at fault, also where it cancels an order that is not here. All else is the type of
# message, or the world: send it again, or never.
_AT_FAULT: Final = frozenset(("101", "102", "103", "204"))
_PLAIN: Final = re.compile(rb"[ -~]{0,200}")


def code_of(error: str) -> Code:
    return ERROR if error in _AT_FAULT else REJECTED


def acknowledgement(head: bytes, code: Code, at: datetime, site: str, error: str = "", text: str = "") -> bytes:
    """The answer to a message that begins with `head`; of one without MSH, an answer to nobody in particular."""
    try:
        marks = separators(head)
    except BadMessage:
        head, marks = b"", Separators()
    bar, component = marks.field.encode(), marks.component.encode()
    asked = [field if _PLAIN.fullmatch(field) else b"" for field in ended(head).split(b"\r", 1)[0].split(bar)]
    asked += [b""] * (12 - len(asked))
    kind = component.join((b"ACK", *asked[8].split(component)[1:2], b"ACK"))
    signs = "".join((marks.component, marks.repeat, marks.escape, marks.part)).encode()
    told = _text(text, marks)
    own = [b"MSH", signs, b"RADSTREAM", _text(site, marks), asked[2], asked[3], f"{at:%Y%m%d%H%M%S}".encode(), b""]
    own += [kind, uuid.uuid4().hex[:20].encode(), asked[10] or b"P", asked[11] or b"2.5.1"]
    lines = [bar.join(own), bar.join((b"MSA", code.encode(), asked[9], told))]
    if error:
        named = component.join((error.encode(), b"", b"HL70357"))
        lines.append(bar.join((b"ERR", b"", b"", named, b"E", b"", b"", b"", told)))
    return b"".join(line + b"\r" for line in lines)


def _text(text: str, marks: Separators) -> bytes:
    """Our own words, without what would separate them."""
    apart = {marks.field, marks.component, marks.repeat, marks.escape, marks.part}
    return "".join(" " if sign in apart else sign for sign in text[:200]).encode("ascii", "replace")

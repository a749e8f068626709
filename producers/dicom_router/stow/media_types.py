"""Media types as headers say them (RFC 2045 section 5.1), and which of ours a client likes best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from email.message import Message
from email.utils import collapse_rfc2231_value
from itertools import islice
from typing import Final

from streams.xml_model import XML

DICOM: Final = "application/dicom"
JSON: Final = "application/dicom+json"
# Of a response (PS3.18 section 10.5.3), first the one for whoever says nothing; by what ranges a client may mean each,
# the closest first.
_ANSWERS: Final = {
    JSON: (JSON, "application/json", "application/*", "*/*"),
    XML: (XML, "application/xml", "application/*", "*/*"),
}
_RANGES_MAX: Final = 64


def parsed(content_type: str) -> tuple[str, Mapping[str, str]]:
    """Type and subtype in lower case, and parameters, also by RFC 2231; an empty type where the text is none."""
    message = Message()
    message["content-type"] = content_type
    try:
        first, *rest = message.get_params([("", "")])
        parameters = {name.lower(): collapse_rfc2231_value(value).strip() for name, value in rest}
    except ValueError:
        # A character set that decodes nothing, or a section with a number that is none.
        return "", {}
    return first[0].strip().lower(), parameters


def of_answer(accept: str) -> str | None:
    """The type that the answer has, or None where the client takes neither (RFC 9110 section 12.5.1)."""
    if not accept.strip():
        return JSON
    qualities = dict(_ranges(accept))
    best, answer = 0.0, None
    for media_type, names in _ANSWERS.items():
        quality = next((qualities[name] for name in names if name in qualities), 0.0)
        if quality > best:
            best, answer = quality, media_type
    return answer


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    for part in islice(accept.split(","), _RANGES_MAX):
        media_range, parameters = parsed(part)
        yield media_range, _quality(parameters.get("q", "1"))


def _quality(said: str) -> float:
    """0 to 1; what is none counts as a no."""
    try:
        quality = float(said)
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0

"""Documents in instances (PS3.3 section C.24): a PDF goes out as what it is, as browsers open nothing else.

Of what an instance says of its document this type alone is believed: a page with scripts in it would run as ours.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.dicomweb.accepting import Offer
from gateway.dicomweb.heads import Head, Place

ENCAPSULATED_PDF: Final = "1.2.840.10008.5.1.4.1.1.104.1"
# Encapsulated Document, as a path to bulk data.
PATH: Final = "00420011"
PDF: Final = Offer("application/pdf", parts=False)
# The page that shows it is isolated, and a browser opens nothing in such a page that does not say that it is too.
ISOLATED: Final = {"cross-origin-embedder-policy": "require-corp"}


class _Said(msgspec.Struct, frozen=True):
    """Of the DICOM JSON model: MIME Type of Encapsulated Document, Encapsulated Document Length."""

    mime_type: dict[str, Any] = msgspec.field(name="00420012", default_factory=dict)
    length: dict[str, Any] = msgspec.field(name="00420015", default_factory=dict)


def pdf_of(head: Head) -> Place | None:
    """Where the PDF of an instance is, without the byte that makes its length even; None where it has none."""
    place = head.bulk.get(PATH)
    if place is None:
        return None
    said = msgspec.json.decode(head.model, type=_Said)
    if said.mime_type.get("Value") != [PDF.media_type]:
        return None
    is_padded = said.length.get("Value") == [place.length - 1]
    return msgspec.structs.replace(place, length=place.length - 1) if is_padded else place

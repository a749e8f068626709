"""A data set as XML: the Native DICOM Model (PS3.19 annex A.1), out of the DICOM JSON model (PS3.18 annex F)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from pydicom.datadict import keyword_for_tag

XML: Final = "application/dicom+xml"
_HEAD: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" xml:space="preserve">'
)
# XML 1.0 section 2.2 has no other characters, not even escaped.
_NO_CHARACTER: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# A line end of CR would else be read as another (section 2.11).
_ESCAPED: Final = {"\r": "&#13;"}
_COMPONENTS: Final = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")


def native(model: Mapping[str, Any]) -> bytes:
    """One data set, in UTF-8. Characters that XML does not have are U+FFFD."""
    return "".join((_HEAD, *_attributes(model), "</NativeDicomModel>")).encode("utf-8")


def _attributes(model: Mapping[str, Any]) -> Iterator[str]:
    for tag, element in model.items():
        vr = str(element["vr"])
        yield f"<DicomAttribute tag={_named(tag, vr, model)}>"
        if "BulkDataURI" in element:
            yield f"<BulkData uri={quoteattr(_clean(element['BulkDataURI']))}/>"
        elif "InlineBinary" in element:
            yield f"<InlineBinary>{element['InlineBinary']}</InlineBinary>"
        else:
            for number, value in enumerate(element.get("Value", ()), 1):
                yield from _value(vr, number, value)
        yield "</DicomAttribute>"


def _named(tag: str, vr: str, model: Mapping[str, Any]) -> str:
    """With its keyword; a private attribute with who made it, where that is said, instead of the block that it has in
    this data set (PS3.5 section 7.8.1)."""
    if int(tag[:4], 16) % 2:
        creator = model.get(f"{tag[:4]}00{tag[4:6]}", {}).get("Value", [None])[0]
        if creator and tag[4:6] != "00":
            return f'"{tag[:4]}00{tag[6:]}" vr="{vr}" privateCreator={quoteattr(_clean(creator))}'
    keyword = _keyword(tag)
    return f'"{tag}" vr="{vr}"' + (f' keyword="{keyword}"' if keyword else "")


@lru_cache(maxsize=8192)
def _keyword(tag: str) -> str:
    return keyword_for_tag(int(tag, 16))


def _value(vr: str, number: int, value: Any) -> Iterator[str]:
    if value is None:
        # An empty one keeps its place by the numbers of the others.
        return
    if vr == "SQ":
        yield f'<Item number="{number}">'
        yield from _attributes(value)
        yield "</Item>"
    elif vr == "PN":
        yield f'<PersonName number="{number}">'
        for group, text in value.items():
            parts = zip(_COMPONENTS, str(text).split("^"), strict=False)
            named = "".join(f"<{name}>{_text(part)}</{name}>" for name, part in parts if part)
            yield f"<{group}>{named}</{group}>"
        yield "</PersonName>"
    else:
        yield f'<Value number="{number}">{_text(value)}</Value>'


def _text(value: Any) -> str:
    return escape(_clean(value), _ESCAPED)


def _clean(value: Any) -> str:
    return _NO_CHARACTER.sub("\ufffd", str(value))

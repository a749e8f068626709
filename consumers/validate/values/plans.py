"""What is looked at in an element: worked out once for each tag and VR, out of what PS3.5 and PS3.6 say of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from consumers.validate.values import enumerated, texts
from consumers.validate.values.dictionary import expected
from consumers.validate.values.enumerated import Values
from consumers.validate.values.texts import Text
from streams.elements import PIXEL_DATA_TAGS

# Bytes of one number, by VR.
_SIZES = {
    **dict.fromkeys(("OW", "SS", "US"), 2),
    **dict.fromkeys(("AT", "FL", "OF", "OL", "SL", "UL"), 4),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8),
}
_SEVERAL = frozenset(("AT", "FL", "FD", "SL", "SS", "SV", "UL", "US", "UV"))
_NUMBERS = {"US": False, "UL": False, "SS": True, "SL": True}
# Where the data set does not say which of several VRs it is, these have the same length and no other check.
_KNOWN_FIRST = frozenset(("US",))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is looked at in an element of one tag and VR. `size` is of one binary number, in bytes; 0 for none."""

    broken: str | None
    size: int
    text: Text | None
    one_value: bool
    allows_one: bool
    fixed: int
    is_signed: bool | None
    values: Values | None
    in_places: tuple[frozenset[str], ...]


@lru_cache(maxsize=16_384)
def plan_of(tag: int, vr: str) -> Plan:
    known = expected(tag)
    broken = None
    if known is None:
        if not tag >> 16 & 1 and tag & 0xFFFF and vr not in ("", "UN") and tag not in PIXEL_DATA_TAGS:
            broken = "element_unknown"
    elif vr in ("", "UN"):
        # PS3.5 section 6.2.2: the value of what is known after all is as in implicit VR.
        vr = known.vrs[0] if known.vrs[0] in _KNOWN_FIRST or len(known.vrs) == 1 else ""
    elif vr not in known.vrs:
        broken = "vr_differs"
    text = texts.text_of(vr) if vr in texts.VRS else None
    one_value = vr in texts.ONE_VALUE or not (text or vr in _SEVERAL)
    return Plan(
        broken=broken,
        size=_SIZES.get(vr, 0),
        text=text,
        one_value=one_value,
        allows_one=known is None or known.allows(1),
        fixed=0 if known is None or one_value else tag,
        is_signed=_NUMBERS.get(vr),
        values=enumerated.everywhere().get(tag),
        in_places=enumerated.IN_PLACES.get(tag, ()),
    )

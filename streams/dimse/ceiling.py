"""What a data set may ask of pydicom: counted before it is decoded, since every element becomes an object there."""

from __future__ import annotations

from typing import Any, Final

from pydicom.dataset import Dataset

from streams.elements import Encoding, Limits, Malformed, TooComplex, Walk
from streams.part10 import EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

# A deflated data set of a megabyte is a gigabyte, and pynetdicom inflates without a ceiling: it is not accepted.
TRANSFER_SYNTAXES: Final = [IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN]
# A performed step of 3,000 images has some 15,000 elements, and none has many at its top.
LIMITS: Final = Limits(elements=50_000, top_level=1_000, depth=16)


class TooMuch(Exception):
    """The data set does not hold, or has more than anybody's. The text says which, and quotes nothing."""


def check(transfer_syntax: str, encoded: Any) -> None:
    """`encoded` is the request's data set, as BytesIO; None where there is none. Raises TooMuch."""
    if encoded is None:
        return
    explicit = transfer_syntax != IMPLICIT_VR_LITTLE_ENDIAN
    encoding = Encoding(explicit, "big" if transfer_syntax == EXPLICIT_VR_BIG_ENDIAN else "little")
    try:
        Walk(encoded.getvalue(), encoding, LIMITS).top(0, explicit)
    except (Malformed, TooComplex) as error:
        raise TooMuch(f"the data set cannot be taken: {error}") from None


def check_depth(data_set: Dataset, left: int = LIMITS.depth) -> None:
    """Sequences of defined length in implicit VR, which only pydicom's dictionary knows. Raises TooMuch."""
    if not left:
        raise TooMuch(f"the data set cannot be taken: Sequences are nested more than {LIMITS.depth} deep.")
    for element in data_set:
        if element.VR == "SQ":
            for item in element.value:
                check_depth(item, left - 1)

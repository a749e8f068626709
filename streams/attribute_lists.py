"""Attribute lists of performed procedure steps in protected blocks: as they are read, and as they were sent.

`DataSet` is the DICOM JSON model (PS3.18 annex F), for whoever reads. `Encoded` is what the modality sent, in base64,
and `TransferSyntax` how it did: JSON would give another system what we understood of it instead.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode, encode

from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

DATA_SET: Final = "DataSet"
_ENCODED, _TRANSFER_SYNTAX = "Encoded", "TransferSyntax"
# In which of them it is kept as it was sent. Everybody who knows performed steps takes the second (PS3.5 section 10.1).
SYNTAXES: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)


class Unwritable(Exception):
    """A data set that cannot be written in another transfer syntax. Without a text, which could quote a value."""


@dataclass(frozen=True)
class AttributeList:
    """A data set as bytes, in one of `SYNTAXES`."""

    transfer_syntax: str
    data: bytes

    def within(self, transfer_syntax: str) -> bytes:
        """The same in another of `SYNTAXES`; as it is where that is its own. Raises Unwritable."""
        if transfer_syntax == self.transfer_syntax:
            return self.data
        return written(
            decode(BytesIO(self.data), self.transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN, True), transfer_syntax
        )

    def of_block(self, data_set: Dataset) -> dict[str, str]:
        """What a block holds; `data_set` is this list as it was read."""
        encoded = base64.b64encode(self.data).decode("ascii")
        return {DATA_SET: data_set.to_json(), _ENCODED: encoded, _TRANSFER_SYNTAX: self.transfer_syntax}


def written(data_set: Dataset, transfer_syntax: str) -> bytes:
    """Raises Unwritable."""
    try:
        # What is still as it was read would be written as it is: each element is looked at first.
        deque(data_set.iterall(), maxlen=0)
        data = encode(data_set, transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN, True)
    except Exception:  # noqa: BLE001 - pydicom raises whatever a value leads it to
        data = None
    if data is None:
        raise Unwritable
    return data


def in_block(attributes: Mapping[str, str | list[str]]) -> AttributeList:
    """Of a block that has no `Encoded`, as versions before wrote it, what its JSON says. Raises Unwritable."""
    encoded, transfer_syntax = attributes.get(_ENCODED), attributes.get(_TRANSFER_SYNTAX)
    try:
        if isinstance(encoded, str) and transfer_syntax in SYNTAXES:
            return AttributeList(str(transfer_syntax), base64.b64decode(encoded, validate=True))
        read = Dataset.from_json(str(attributes.get(DATA_SET)))
    except Exception:  # noqa: BLE001 - as above
        raise Unwritable from None
    return AttributeList(EXPLICIT_VR_LITTLE_ENDIAN, written(read, EXPLICIT_VR_LITTLE_ENDIAN))

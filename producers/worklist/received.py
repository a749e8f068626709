"""What a modality said of a performed step, as it was read and as it was sent."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from streams.attribute_lists import SYNTAXES, AttributeList, written
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN


@dataclass(frozen=True)
class Received:
    """`said` is what `encoded` says in `transfer_syntax`."""

    said: Dataset
    encoded: bytes
    transfer_syntax: str

    def kept(self, kept: Dataset) -> dict[str, str]:
        """The block of what was kept of it. Raises Unwritable.

        As it was sent; written anew where something was left out, or it came deflated or in big endian.
        """
        if len(kept) == len(self.said) and self.transfer_syntax in SYNTAXES:
            return AttributeList(self.transfer_syntax, self.encoded).of_block(kept)
        return AttributeList(EXPLICIT_VR_LITTLE_ENDIAN, written(kept, EXPLICIT_VR_LITTLE_ENDIAN)).of_block(kept)

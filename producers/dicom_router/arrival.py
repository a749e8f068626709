"""What arrives to be stored, by C-STORE or by another door, and what is refused of it (PS3.4 annex B.2.3).

Little is refused: what is unreadable or unidentifiable is kept, acknowledged, and quarantined by validation with a
reason. Refused is what would be a wrong record of somebody, or is no instance at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from producers.dicom_router.data_set import DataSet, Fate
from producers.dicom_router.header import SOP_INSTANCE, Header
from streams.identity import uid_is_usable
from streams.sop_classes import NOT_STORABLE

SourceProtocol = Literal["DIMSE", "STOW-RS", "folder"]

SUCCESS: Final = 0x0000
SOP_CLASS_NOT_SUPPORTED: Final = 0x0122
# Store or log away: a sender tries again. The same group with another last digit: trying again does not help.
OUT_OF_RESOURCES: Final = 0xA700
TOO_LARGE: Final = 0xA701
STORE_REFUSES: Final = 0xA702
NOT_OF_SOP_INSTANCE: Final = 0xA900
NOT_OF_STUDY: Final = 0xA901
CANNOT_UNDERSTAND: Final = 0xC000

# The action of the audit event of a refusal, by the door.
REFUSED: Final[dict[SourceProtocol, str]] = {
    "DIMSE": "c-store.refused",
    "STOW-RS": "stow-rs.refused",
    "folder": "folder.refused",
}


@dataclass(frozen=True)
class Arrival:
    """One request to store. UIDs are as the sender gave them, legal or not; `content` is as received.

    The bytes are there until the request is answered: whoever needs them longer copies them. `fault` is what the door
    that it came by has against it, and `protocol` says which door that is. `preamble` is what stood in front of a file,
    empty where that was nothing (`streams.preamble`).
    """

    sop_class_uid: str
    sop_instance_uid: str
    abstract_syntax: str
    transfer_syntax_uid: str
    content: DataSet
    calling_ae: str
    called_ae: str
    association: str
    protocol: SourceProtocol = "DIMSE"
    fault: Refusal | None = None
    preamble: str = ""

    @property
    def data_set(self) -> memoryview:
        return self.content.view


@dataclass(frozen=True)
class Refusal:
    """`reason` is a sentence without patient data; it goes into the audit event."""

    status: int
    reason: str


def refusal(arrival: Arrival, header: Header) -> Refusal | None:
    """Why the request is refused, or None.

    A data set of another SOP class than the command's is kept: the bytes are what they are, and validation reports it.
    Another SOP instance is not: the sender would count an image as archived that is not.
    """
    if arrival.fault is not None:
        return arrival.fault
    if arrival.content.fate is Fate.OVERSIZE:
        return Refusal(TOO_LARGE, "the data set is larger than [router] object_bytes_max")
    if arrival.abstract_syntax in NOT_STORABLE or arrival.sop_class_uid in NOT_STORABLE:
        return Refusal(SOP_CLASS_NOT_SUPPORTED, "not an instance of a storage SOP class")
    if not uid_is_usable(arrival.transfer_syntax_uid):
        return Refusal(CANNOT_UNDERSTAND, "the negotiated transfer syntax is not a UID")
    if (own := header.uid(SOP_INSTANCE)) and own != arrival.sop_instance_uid:
        return Refusal(NOT_OF_SOP_INSTANCE, "the data set has another SOP Instance UID than the command")
    return None

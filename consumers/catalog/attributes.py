"""What protected blocks say, as the catalog keeps it."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, Protocol

import structlog

from consumers.catalog.text import clean
from streams.objects import Damaged, StoreAway
from streams.protected import Attributes, Erased, Ref, Unopened
from streams.protected_keys import UnknownKey
from streams.step import Away
from streams.stop import Stop

State = Literal["open", "erased", "unreadable"]

# Studies and series in the air at once, with room to spare: a block is read once, not once for each instance.
_REMEMBERED_MAX = 4096


class Blocks(Protocol):
    """`streams.protected.ProtectedBlocks`, as far as the catalog uses it."""

    def read(self, ref: Ref) -> Attributes | Erased: ...


@dataclass(frozen=True)
class Described:
    """A block as the catalog keeps it; `attributes` is empty unless `state` is 'open'."""

    ref: Ref
    state: State
    attributes: Mapping[str, str | list[str]] = field(default_factory=dict)

    def text(self, keyword: str) -> str:
        """The attribute's value, several joined as DICOM does; empty where it is absent."""
        value = self.attributes.get(keyword, "")
        return value if isinstance(value, str) else "\\".join(value)

    def date(self, keyword: str) -> date | None:
        """The date of a DA (PS3.5 section 6.2), also in its form of before 1993, or None where it is not one."""
        digits = self.text(keyword).strip().replace(".", "")
        if len(digits) != 8 or not (digits.isascii() and digits.isdecimal()):
            return None
        try:
            return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
        except ValueError:
            return None


def patient_key(described: Described, study_uid: str, site: str, issuer_of_source: str = "") -> str:
    """SHA-256 (hex) of issuer and Patient ID, or of the study where there is no ID: nothing says whose it is.

    A Patient ID is unique with its issuer alone. Where none is said, it is that of the source for what comes from
    outside, and the site stands in for it for what was made here.
    """
    patient, issuer = described.text("PatientID"), described.text("IssuerOfPatientID") or issuer_of_source
    named = ["id", *(["issuer", issuer] if issuer else ["site", site]), patient] if patient else ["study", study_uid]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()


class Reader:
    """Reads blocks once. Used from one thread."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._remembered: OrderedDict[str, Described] = OrderedDict()

    def read(self, ref: Ref) -> Described:
        """Raises Away where the store is, Stop where the site's key file lacks the block's key."""
        if (known := self._remembered.get(ref.block_id)) is not None:
            self._remembered.move_to_end(ref.block_id)
            return known
        described = self._remembered[ref.block_id] = self._read(ref)
        while len(self._remembered) > _REMEMBERED_MAX:
            self._remembered.popitem(last=False)
        return described

    def _read(self, ref: Ref) -> Described:
        try:
            found = self._blocks.read(ref)
        except StoreAway:
            raise Away("the object store does not answer; protected blocks cannot be read") from None
        except UnknownKey as error:
            raise Stop(f"protected blocks cannot be read: {error}; restore the key file, then start again") from None
        except (Damaged, Unopened) as error:
            # One damaged block must not hold up everybody's images; it shows as such until restored and rebuilt.
            structlog.get_logger().error("block_unreadable", block_id=ref.block_id, kind=type(error).__name__)
            return Described(ref, "unreadable")
        if isinstance(found, Erased):
            return Described(ref, "erased")
        return Described(ref, "open", clean(found))

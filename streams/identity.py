"""Names of things: event ids, partition keys, object keys, UIDs.

Delivery is at least once; these names are what makes a second delivery harmless. They are for ever: a changed
function here is a new archive.
"""

from __future__ import annotations

import re
import uuid

# The namespace of every radstream event id (RFC 9562 section 5.5). Never changes.
EVENT_NAMESPACE = uuid.UUID("6f1d2a3e-5b0c-5d0e-9a41-7c2f8e6b9d10")

# PS3.5 section 9.1, but for leading zeros in a component: they are forbidden and common, harmless in a name, and a
# finding of validation (docs/decisions/0003).
_USABLE_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*\Z")
_LEADING_ZERO = re.compile(r"(?:\A|\.)0[0-9]")
UID_LENGTH_MAX = 64

# The first folders of keys below a tenant's: of what was received, and of what is made beside it.
ORIGINALS = ("studies", "unkeyed")
OTHERS = ("derived", "protected", "checkpoints", "commitment")


def event_id(tenant: str, step: str, subject: str, ordinal: int, generation: int) -> str:
    """The id of the `ordinal`-th event that `step` makes of `subject` in a generation."""
    return str(uuid.uuid5(EVENT_NAMESPACE, "\x1f".join((tenant, step, subject, str(ordinal), str(generation)))))


def uid_of_event(event: str) -> str:
    """The UID of a DICOM object that we create: the event's id as an integer under 2.25 (PS3.5 annex B.2)."""
    return f"2.25.{uuid.UUID(event).int}"


def uid_text(value: bytes) -> str:
    """A UID as text, legal or not, without its padding: NUL by PS3.5 section 9.1, and spaces as some write."""
    return value.rstrip(b"\x00 ").decode("latin-1")


def uid_is_usable(uid: str) -> bool:
    """Whether a UID can name an object: digits and dots, at most 64 characters."""
    return len(uid) <= UID_LENGTH_MAX and _USABLE_UID.match(uid) is not None


def uid_has_leading_zero(uid: str) -> bool:
    return _LEADING_ZERO.search(uid) is not None


def partition_key(tenant: str, study_uid: str) -> bytes:
    """The record key of every instance topic: one study, one partition."""
    return f"{tenant}|{study_uid}".encode()


def original_key(tenant: str, study_uid: str, series_uid: str, sop_instance_uid: str, sha256: str) -> str:
    """Object key of a received instance. UIDs that cannot be names are never part of a key."""
    if all(uid_is_usable(uid) for uid in (study_uid, series_uid, sop_instance_uid)):
        return f"{tenant}/studies/{study_uid}/{series_uid}/{sop_instance_uid}/{sha256}.dcm"
    return f"{tenant}/unkeyed/{sha256}.dcm"


def derived_key(tenant: str, event: str) -> str:
    """Object key of something made from an instance or a study."""
    return f"{tenant}/derived/{event}"


def protected_key(tenant: str, block_id: str) -> str:
    """Object key of an encrypted block of patient attributes."""
    return f"{tenant}/protected/{block_id}"


def commitment_key(tenant: str, event: str, name: str) -> str:
    """Object key of what was agreed on telling a result of storage commitment."""
    return f"{tenant}/commitment/{event}/{name}"

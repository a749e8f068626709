"""What a certificate says that peers are known by."""

from __future__ import annotations

import hashlib
import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Certificate:
    """A peer's, verified. `common_name` is empty where the subject has none, or several: nobody is known by that.

    `fingerprint` is the SHA-256 (hex, lower case) of its DER form.
    """

    common_name: str
    fingerprint: str
    ends_at: datetime


def certificate_of(connected: ssl.SSLSocket) -> Certificate:
    """The peer's certificate, of a connection whose handshake is done and asked for one. Raises ssl.SSLError."""
    said, der = connected.getpeercert(), connected.getpeercert(binary_form=True)
    if not said or not der:
        raise ssl.SSLError("the peer has no certificate")
    # A sequence of sets of (attribute, value), as RFC 5280 section 4.1.2.4 has names.
    subject = said.get("subject", ())
    names = [str(pair[1]) for names in subject for pair in names if pair[0] == "commonName"]
    ends_at = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(said["notAfter"])), UTC)
    return Certificate(names[0] if len(names) == 1 else "", hashlib.sha256(der).hexdigest(), ends_at)


def fingerprint_of(text: str) -> str:
    """A fingerprint as a person writes it, as `Certificate` has it. Raises ValueError, which says how to get one."""
    plain = re.sub(r"[:\s]", "", text).lower()
    if not _FINGERPRINT.fullmatch(plain):
        raise ValueError(
            f"{text} is not the SHA-256 of a certificate; `openssl x509 -in FILE -noout -fingerprint -sha256` says it"
        )
    return plain

"""Section [demographics]: where the hospital's patient demographics supplier listens, and how it is asked.

[demographics]
host = "mpi.hospital.example"
port = 3600
application = "MPI"     # MSH-5, as its conformance statement says
facility = "HOSPITAL"   # MSH-6
domain = "NORTH"        # whose patient IDs are yours, where it knows several hospitals'
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from streams.config import Config, Section
from streams.tls.certificate import fingerprint_of
from streams.tls.files import Files

SECTION: Final = "demographics"

# ST and HD of HL7 v2.5 are longer; what separates fields, and control characters, is in no name.
_Name = Annotated[str, Meta(max_length=180, pattern=r"^[^|^~\\&\x00-\x1f\x7f]*$")]


class Tls(Files, frozen=True, kw_only=True):
    """MLLP over TLS, mutual (IHE ITI TF-2 section 3.19). The supplier's certificate leads to `ca` and is for `host`; or
    has this `common_name`, or is one of `fingerprints` (SHA-256).
    """

    common_name: Annotated[str, Meta(min_length=1)] | None = None
    fingerprints: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.common_name and self.fingerprints:
            raise ValueError("the supplier is known by its common_name or by fingerprints; take one of them away")
        for text in self.fingerprints:
            fingerprint_of(text)  # Its ValueError says how to get one.


class Settings(Section, frozen=True, kw_only=True):
    """`answer_s` is how long a connection, and then an answer, may take; `domain` a namespace, or an OID.

    Without `tls` names go over the network as they are, which only a network that nobody else is in allows.
    """

    host: Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[!-~]+$")]
    port: Annotated[int, Meta(ge=1, le=65535)]
    application: _Name = ""
    facility: _Name = ""
    domain: _Name = ""
    answer_s: Annotated[float, Meta(gt=0, le=600)] = 10.0
    patients_max: Annotated[int, Meta(ge=1, le=500)] = 50
    answer_bytes_max: Annotated[int, Meta(ge=1024)] = 1 << 20
    tls: Tls | None = None


def of_site(config: Config) -> Settings | None:
    """None for a site that has no supplier. Raises ConfigError for a section that cannot be used."""
    return config.section(SECTION, Settings) if SECTION in config.names else None

"""What can be set wherever TLS is: the files that it stands on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from streams.config import Section


class Files(Section, frozen=True, kw_only=True):
    """All files are PEM.

    `certificate` holds ours and whatever lies between it and its root, `key` its private key without a password. `ca`
    holds the roots that peers' certificates must lead to, `crl` the revocation list of each of them.
    """

    certificate: Path
    key: Path
    ca: Path
    crl: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Everything that is read."""
        files = (self.certificate, self.key, self.ca)
        return files if self.crl is None else (*files, self.crl)


class Port(Files, frozen=True, kw_only=True):
    """A port of its own, for TLS alone."""

    port: Annotated[int, Meta(ge=0, le=65535)]

"""What can be set in [router.tls]."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from streams.config import Section


class Tls(Section, frozen=True, kw_only=True):
    """DICOM over TLS, on a port of its own. All files are PEM; relative paths are beside the configuration file.

    `certificate` holds ours and whatever lies between it and its root, `key` its private key without a password. `ca`
    holds the roots that peers' certificates must lead to, `crl` the revocation list of each of them.
    """

    # 2762 is registered for dicom-tls (PS3.8 section 9.1.2).
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 2762
    certificate: Path
    key: Path
    ca: Path
    crl: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Everything that is read."""
        files = (self.certificate, self.key, self.ca)
        return files if self.crl is None else (*files, self.crl)

    def beside(self, folder: Path) -> Tls:
        """The same with absolute paths."""
        return msgspec.structs.replace(
            self,
            certificate=folder / self.certificate,
            key=folder / self.key,
            ca=folder / self.ca,
            crl=None if self.crl is None else folder / self.crl,
        )

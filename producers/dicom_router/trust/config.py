"""What can be set in [router.tls]."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from streams.tls.files import Port


class Tls(Port, frozen=True, kw_only=True):
    """DICOM over TLS, on a port of its own."""

    # 2762 is registered for dicom-tls (PS3.8 section 9.1.2).
    port: Annotated[int, Meta(ge=0, le=65535)] = 2762

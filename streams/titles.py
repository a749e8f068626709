"""AE titles in the configuration (PS3.5 section 6.2, VR AE)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

AeTitle = Annotated[str, Meta(min_length=1, max_length=16, pattern=r"^[ -\[\]-~]*[!-\[\]-~][ -\[\]-~]*$")]

"""AE titles (PS3.5 section 6.2, VR AE): in the configuration, and as peers say them."""

from __future__ import annotations

import re
from typing import Annotated, Final

from msgspec import Meta

AeTitle = Annotated[str, Meta(min_length=1, max_length=16, pattern=r"^[ -\[\]-~]*[!-\[\]-~][ -\[\]-~]*$")]

_NOT_OF_AE: Final = re.compile(r"[^ -\[\]-~]")


def ae_title(raw: str) -> str:
    """An AE title for events: no padding, 16 characters at most, '?' for what the VR does not allow."""
    return _NOT_OF_AE.sub("?", raw.strip())[:16]

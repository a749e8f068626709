"""The files of a site as infra/site has them, and with the examples in them in force."""

from __future__ import annotations

import re
from pathlib import Path

import infra

SITE = Path(infra.__file__).parent / "site"


def in_force(name: str) -> str:
    """The text of a file whose examples stand in comments no more."""
    lines = (SITE / name).read_text(encoding="utf-8").splitlines()
    return "\n".join(re.sub(r"^# (?=\[|[a-z_.]+ = )", "", line) for line in lines)

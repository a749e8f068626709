"""The viewer is one package everywhere: the local stack fetches what the image does."""

from __future__ import annotations

import re
from pathlib import Path

from infra.local.tools import viewer

DOCKERFILE = Path(__file__).resolve().parents[2] / "infra" / "compose" / "Dockerfile"


def test_the_image_has_the_viewer_of_the_local_stack() -> None:
    said = dict(re.findall(r"(?m)^ARG (OHIF\w*)=(\S+)$", DOCKERFILE.read_text(encoding="utf-8")))
    assert said == {"OHIF": viewer.VERSION, "OHIF_SHA256": viewer.SHA256}

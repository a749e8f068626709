"""Writes the dashboards: `python -m infra.dashboards FOLDER`"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from infra.dashboards.engineering import ENGINEERING
from infra.dashboards.hospital import HOSPITAL
from infra.dashboards.operations import OPERATIONS
from infra.dashboards.panels import rendered
from infra.dashboards.results import RESULTS

DASHBOARDS = (HOSPITAL, OPERATIONS, RESULTS, ENGINEERING)


def write(folder: Path) -> None:
    """One file for each dashboard, named by its uid."""
    folder.mkdir(parents=True, exist_ok=True)
    for dashboard in DASHBOARDS:
        text = json.dumps(rendered(dashboard), indent=2)
        (folder / f"{dashboard.uid}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m infra.dashboards FOLDER")
    write(Path(sys.argv[1]))

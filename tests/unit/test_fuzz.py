"""A short run of the fuzz targets, the same each time; `make fuzz` is the long one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.running import MISSING
from tests.fuzz.target import NAMES

ROOT = Path(__file__).resolve().parents[2]
RUNS = 80


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_hostile_bytes_break_no_reader(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--runs", str(RUNS), "--seed", "1", "--keep", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    print(done.stdout)  # noqa: T201
    assert done.returncode == 0, done.stdout
    counts = {name: int(count) for name, count in re.findall(r"^(\w+): (\d+) inputs", done.stdout, re.MULTILINE)}
    # Each seed is an input too, also where there are more of them.
    assert set(counts) == set(NAMES)
    assert all(count >= RUNS for count in counts.values())

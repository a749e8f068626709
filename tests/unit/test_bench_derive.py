"""`radstream bench derive`, as a person calls it."""

from __future__ import annotations

import json
import subprocess
import sys


def test_copies_with_their_proof_are_measured_beside_copies_alone() -> None:
    options = ["--cases", "ct", "--contenders", "radstream,radstream-pictures,pydicom-rle", "--seconds", "1", "--json"]
    command = [sys.executable, "-m", "radstream", "bench", "derive", *options, "--folder", "."]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    whole, pictures, rle = report["measured"]
    assert (whole["proven"], pictures["proven"], rle["proven"]) == (True, False, False)
    assert whole["ratio"] > rle["ratio"] > 1
    assert pictures["ratio"] is None
    assert whole["cpu_ms_per_object"] > pictures["cpu_ms_per_object"] > 0
    assert report["aims"] == {"ct": 6000}
    assert (report["absent"], report["file_bytes"]["ct"] > 512 * 512 * 2) == ([], True)

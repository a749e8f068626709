"""The Java client, compiled; it is compiled again when its sources changed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1] / "clients" / "java"
JAR = PROJECT / "target" / "radstream-results.jar"


def built() -> Path:
    """The jar. Skips where this machine has no compiler; fails with what Maven says."""
    if shutil.which("javac") is None or shutil.which("mvn") is None:
        pytest.skip("no javac and mvn here, so the Java client is not tested; install maven and default-jdk-headless")
    sources = [PROJECT / "pom.xml", *(PROJECT / "src").rglob("*")]
    if JAR.is_file() and all(path.stat().st_mtime < JAR.stat().st_mtime for path in sources):
        return JAR
    # After the first time everything is at hand; and a registry that is away must not stop a test.
    if _maven("--offline").returncode != 0:
        online = _maven()
        assert online.returncode == 0, online.stdout
    return JAR


def _maven(*options: str) -> subprocess.CompletedProcess[str]:
    command = ["mvn", "--quiet", "--batch-mode", *options, "--file", str(PROJECT / "pom.xml"), "package"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=800)

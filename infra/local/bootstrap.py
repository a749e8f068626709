"""Makes the checkout ready to run: a virtual environment with what a lock lists, then the tools of the stack.

    python3 infra/local/bootstrap.py demo|test

Only the standard library, and syntax that older Pythons can read, so that they can say what they lack. A second run
finds everything there and is quick.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

PYTHON_MIN = (3, 11)
OTHERS = ("python3.13", "python3.12", "python3.11", "python3.14")
ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
# By goal, what it installs, and by lock, those that hold everything of it. torch is 3 GB, so the demo does without.
LOCKS = {"demo": ("demo",), "test": ("test", "torch")}
HELD_BY = {"demo": ("demo", "test"), "test": ("test",), "torch": ("torch",)}


class Missing(Exception):
    """What is missing and what to do, for a person."""


def main() -> None:
    goal = sys.argv[1] if len(sys.argv) == 2 else ""
    if goal not in LOCKS:
        sys.exit("usage: python3 infra/local/bootstrap.py demo|test")
    if sys.version_info < PYTHON_MIN:
        run_newer_python()
    try:
        install(goal)
    except Missing as error:
        sys.exit(f"radstream: {error}")
    except OSError as error:
        sys.exit(f"radstream: {error.filename or VENV}: {error.strerror}; make room or mend its permissions, and again")
    sys.exit(subprocess.call([str(VENV / "bin" / "python"), "-m", "infra.local.tools", goal]))


def run_newer_python() -> None:
    """Starts again with a newer Python of this machine; ends where there is none."""
    for name in OTHERS:
        program = shutil.which(name)
        if program:
            sys.exit(subprocess.call([program, *sys.argv]))
    sys.exit(
        f"radstream: Python 3.11 or newer is needed and {sys.executable} is {sys.version.split()[0]}; install one "
        "(apt-get install python3.11 python3.11-venv) and run this again: it is found by its name"
    )


def install(goal: str) -> None:
    missing = [lock for lock in LOCKS[goal] if not any(is_installed(held) for held in HELD_BY[lock])]
    if not missing:
        return
    make_environment()
    for lock in missing:
        say(f"installing the Python packages of locks/{lock}.txt into {VENV}")
        pip("--require-hashes", "-r", str(ROOT / "locks" / f"{lock}.txt"))
    pip("--no-deps", "--no-build-isolation", "-e", str(ROOT))
    for lock in missing:
        stamp(lock).write_text(mark(lock))


def is_installed(lock: str) -> bool:
    return stamp(lock).is_file() and stamp(lock).read_text() == mark(lock)


def stamp(lock: str) -> Path:
    return VENV / f".radstream-{lock}"


def mark(lock: str) -> str:
    """Changes with the lock, the project's description, and the place: scripts of an environment cannot be moved."""
    read = hashlib.sha256()
    for name in (f"locks/{lock}.txt", "pyproject.toml"):
        read.update((ROOT / name).read_bytes())
    return f"{read.hexdigest()} {ROOT}\n"


def make_environment() -> None:
    moved = any(f" {ROOT}\n" not in path.read_text() for path in VENV.glob(".radstream-*"))
    program = VENV / "bin" / "python"
    if program.exists() and not moved and subprocess.call([program, "-c", "import pip"]) == 0:
        return
    if VENV.exists():
        shutil.rmtree(VENV)
    ensure_venv_module()
    say(f"making a virtual environment in {VENV} with Python {sys.version.split()[0]}")
    if subprocess.call([sys.executable, "-m", "venv", str(VENV)]) != 0:
        raise Missing(f"no virtual environment could be made in {VENV}; the lines above say why")


def ensure_venv_module() -> None:
    """Debian and Ubuntu keep `ensurepip` in a package of its own."""
    if subprocess.call([sys.executable, "-c", "import ensurepip, venv"], stderr=subprocess.DEVNULL) == 0:
        return
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Missing(f"Python's venv module is missing; run: sudo apt-get install {package}")
    say(f"installing {package}: Python's virtual environments")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", package]
    subprocess.call(["apt-get", "update", "-q"], env=environment, stdout=sys.stderr)
    if subprocess.call(command, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr) != 0:
        raise Missing(f"{package} could not be installed; the lines above say why")


def pip(*arguments: str) -> None:
    options = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input")
    if subprocess.call([str(VENV / "bin" / "python"), *options, *arguments]) != 0:
        raise Missing(
            "the Python packages could not be installed; the lines above say why. Check the network and again"
        )


def say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    main()

"""`python -m tests.fuzz [--seconds N | --runs N] [TARGET ...]` feeds targets with bytes, one target after another.

`python -m tests.fuzz TARGET --input FILE` reads one file, as a crash left it; no atheris is needed for that.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests.fuzz.bounds import Bounded
from tests.fuzz.running import MISSING, Budget, run
from tests.fuzz.target import NAMES, load


def main() -> None:
    asked = _arguments()
    if asked.input is not None:
        target = load(asked.targets[0])
        Bounded(target)(asked.input.read_bytes())
        print(f"{target.name}: {asked.input} is read as it should be")  # noqa: T201
        return
    if "PYTHONHASHSEED" not in os.environ:
        # What is found is found again: the same seed goes the same way.
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.fuzz", *sys.argv[1:]])  # noqa: S606  # noqa: S606
    sys.exit(run(asked.targets or NAMES, Budget(asked.runs, asked.seconds, asked.seed), asked.keep))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Feeds readers with hostile bytes.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(NAMES)}; all where none is named")
    parser.add_argument(
        "--runs", type=int, default=-1, help="inputs for each target; without a ceiling where not given"
    )
    parser.add_argument("--seconds", type=int, default=600, help="time for each target")
    parser.add_argument("--seed", type=int, default=1, help="of the inputs")
    parser.add_argument("--input", type=Path, help="read this file instead, by the one target named")
    parser.add_argument("--keep", type=Path, default=Path(".fuzz"), help="folder for crashes, logs and what was learnt")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.targets) - set(NAMES)):
        parser.error(f"no such target: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    if asked.input is not None and len(asked.targets) != 1:
        parser.error("--input is for one target: name it")
    if asked.input is None and MISSING:
        parser.error(MISSING)
    return asked


if __name__ == "__main__":
    main()

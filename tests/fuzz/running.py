"""Targets under atheris (libFuzzer for Python), each in a process of its own: what it says, what it finds.

In `keep` lie for each target the inputs that reached something new (corpus/), its last log, and what broke it
(crashes/). Inputs of earlier runs are begun with.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from tests.fuzz.bounds import Bounded
from tests.fuzz.mutating import mutated
from tests.fuzz.target import Target, load

MISSING: Final = (
    ""
    if importlib.util.find_spec("atheris")
    else "atheris is not installed: it has wheels for Linux on x86-64 (`pip install atheris` builds it elsewhere)"
)
_SAID_EVERY_S: Final = 30.0
# Nothing may hang, nor grow by what Python does not see.
_HANG_S: Final = 60
_RSS_MB_MAX: Final = 2048
_COUNTED: Final = re.compile(r"#(\d+)\s.*?\bft: (\d+) corp: (\d+)")


@dataclass(frozen=True)
class Budget:
    """Ceilings for each target; `runs` is of inputs, -1 for none."""

    runs: int
    seconds: int
    seed: int


def run(names: Iterable[str], budget: Budget, keep: Path) -> int:
    """The exit code: 0, or 1 where anything was found. Says on stdout how it goes, and how to see a find again."""
    targets = [_instrumented(name) for name in names]
    found = [target.name for target in targets if not _fuzzed(target, budget, keep)]
    _say(f"{len(targets)} targets, {len(found)} with finds" + (f": {', '.join(found)}" if found else ""))
    return 1 if found else 0


def _instrumented(name: str) -> Target:
    """With what it reads by, so that the fuzzer sees which way an input takes."""
    import atheris

    with atheris.instrument_imports(
        include=["consumers.validate", "producers", "streams"], enable_loader_override=False
    ):
        return load(name)


def _fuzzed(target: Target, budget: Budget, keep: Path) -> bool:
    """Whether nothing was found."""
    corpus, crashes, log = keep / "corpus" / target.name, keep / "crashes", keep / f"{target.name}.log"
    corpus.mkdir(parents=True, exist_ok=True)
    crashes.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (corpus / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed[: target.input_bytes_max])
    words = keep / f"{target.name}.words"
    words.write_text("".join(f'"{_quoted(word)}"\n' for word in target.words), encoding="ascii")
    before = set(crashes.iterdir())
    flags = (
        *(f"-runs={budget.runs}", f"-max_total_time={budget.seconds}", f"-seed={budget.seed}"),
        *(f"-max_len={target.input_bytes_max}", f"-dict={words}", f"-artifact_prefix={crashes}/{target.name}-"),
        *(f"-timeout={_HANG_S}", f"-rss_limit_mb={_RSS_MB_MAX}", "-print_final_stats=1", "-verbosity=1"),
    )
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        _become(target, [*flags, str(corpus)], write)
    os.close(write)
    with os.fdopen(read, encoding="utf-8", errors="replace") as lines, log.open("w", encoding="utf-8") as kept:
        _follow(target.name, lines, kept)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finds = sorted(set(crashes.iterdir()) - before)
    if code == 0 and not finds:
        return True
    _report(target.name, code, finds, log)
    return False


def _become(target: Target, flags: Sequence[str], output: int) -> None:
    """The child: never comes back."""
    import atheris

    os.dup2(output, 1)
    os.dup2(output, 2)
    core: Any = atheris
    core.Setup(
        [target.name, *flags],
        Bounded(target),
        custom_mutator=lambda data, max_size, seed: mutated(data, max_size, seed, core.Mutate),
    )
    core.Fuzz()
    os._exit(0)


def _follow(name: str, lines: Iterator[str], kept: TextIO) -> None:
    """Keeps what the child says; of its counts, says the last one now and then."""
    began = said = time.monotonic()
    counts: tuple[str, ...] = ("0", "0", "0")
    for line in lines:
        kept.write(line)
        if counted := _COUNTED.match(line):
            counts = counted.groups()
        if executed := re.match(r"stat::number_of_executed_units:\s*(\d+)", line):
            counts = (executed[1], *counts[1:])
        now = time.monotonic()
        if now - said > _SAID_EVERY_S:
            said = now
            _say_counts(name, counts, now - began)
    _say_counts(name, counts, time.monotonic() - began)


def _say_counts(name: str, counts: tuple[str, ...], seconds: float) -> None:
    inputs, features, kept = map(int, counts)
    _say(f"{name}: {inputs:,} inputs in {seconds:.0f} s, {features:,} features reached by {kept:,} of them")


def _report(name: str, code: int, finds: Sequence[Path], log: Path) -> None:
    text = log.read_text(encoding="utf-8")
    at = text.find("Uncaught Python exception")
    _say(text[at - 5 : at + 4000] if at >= 0 else text[-4000:])
    _say(f"{name} ended with {code}; all it said is in {log}")
    for find in finds:
        _say(f"to see it again: {Path(sys.executable)} -m tests.fuzz {name} --input {find}")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def _quoted(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)

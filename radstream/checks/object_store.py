"""The object store: every bucket reachable, and what it really enforces."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from radstream.checks.check import Check, broken, note, well
from streams.config import Store
from streams.objects import StoreAway
from streams.probe import REQUIRED, Probe, probe

PART = "store"
START = "Start it: radstream up; or mend [store]."
UNFIT = "Use another store: on this one an original could be lost."


def check(config: Store) -> Iterator[Check]:
    """One check for each probe; buckets that answer alike share it."""
    with ThreadPoolExecutor(max(1, len(config.buckets))) as pool:
        asked = {name: pool.submit(probe, config, bucket) for name, bucket in config.buckets.items()}
    answers: dict[Probe, list[str]] = {}
    for name, future in asked.items():
        try:
            for found in future.result():
                answers.setdefault(found, []).append(name)
        except StoreAway as error:
            yield broken(PART, name, f"{error}.", START)
    for found, names in answers.items():
        yield _check(found, names, len(config.buckets))


def _check(found: Probe, names: list[str], of: int) -> Check:
    where = "" if len(names) == of else f" (in {', '.join(names)})"
    says = f"{found.verdict.capitalize()}: {found.detail}{where}"
    if found.verdict == "enforced":
        return well(PART, found.name, says)
    if found.name in REQUIRED:
        return broken(PART, found.name, says, UNFIT)
    return note(PART, found.name, says)

"""Rounds: something is disturbed while twenty read, and all of them read again by themselves after it."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from radstream.sending import send_items
from tests.pipeline_run import router_of
from tests.readers.asking import Asking
from tests.readers.crew import C_GET, C_MOVE, Crew
from tests.readers.faults import FROZEN_S, Fault, all_of
from tests.readers.listening import Listening
from tests.readers.site import Site
from tests.readers.studies import Study, small
from tests.readers.tally import RIGHT, Tally
from tests.rounds.report import table
from tests.waiting import wait_until

FELT_S_MAX, WELL_S_MAX, HEARD_S_MAX = 300.0, 300.0, 300.0
# How often a later round has two faults at once.
TWO_OF = 0.3


@dataclass(frozen=True)
class Report:
    seed: int
    rounds: int
    seconds: float
    faults: dict[str, int]
    left_out: str
    right: dict[str, int]
    refused: dict[str, int]
    checked_bytes: int
    slowest_s: float
    heard: int
    listened_again: int
    findings: tuple[str, ...]


class Rounds:
    def __init__(
        self,
        site: Site,
        seed: int,
        studies: Sequence[Study],
        crew: Crew,
        listening: Listening,
        asking: Asking,
        tally: Tally,
    ) -> None:
        self._site, self._seed, self._studies = site, seed, studies
        self._crew, self._listening, self._asking, self._tally = crew, listening, asking, tally
        self._chance = random.Random(seed)
        self._counted: Counter[str] = Counter()
        self._new: list[Study] = []
        self._makes = all_of(site, studies[0].images, studies[1].images[0], self._chance)
        self._first = list(self._makes)
        self._chance.shuffle(self._first)

    def run(self, rounds: int) -> Report:
        began_s = time.monotonic()
        # Every kind of reading once, and a place in the log, before anything is disturbed.
        self._wait_until_well()
        wait_until(lambda: self._listening.is_placed, "the listener's place in the log", WELL_S_MAX)
        for number in range(rounds):
            self._round(number)
        self._hear()
        return self._report(rounds, time.monotonic() - began_s)

    def _draw(self) -> list[Fault]:
        """The first rounds have each once, alone, in an order drawn."""
        if self._first:
            return [self._first.pop()()]
        makes = self._chance.sample(self._makes, 2 if self._chance.random() < TWO_OF else 1)
        made = [make() for make in makes]
        # What is killed cannot be frozen as well; and bits are flipped while the gateway alone is away.
        is_alone = len({fault.name.split()[0] for fault in made}) < len(made) or any("bits" in one.name for one in made)
        return made[:1] if is_alone else made

    def _round(self, number: int) -> None:
        faults = self._draw()
        began_s = time.monotonic()
        self._send(number)
        before = {words: self._tally.told(words) for fault in faults for words in fault.felt}
        begun: list[Fault] = []
        # Nobody notices that a cache is away.
        disturbs = any("redis" not in fault.name for fault in faults)
        if disturbs:
            self._tally.disturbed()
        try:
            for fault in faults:
                fault.begin()
                begun.append(fault)
            self._crew.pause(FROZEN_S)
            for words, count in before.items():
                wait_until(lambda words=words, count=count: self._is_told(words, count), words, FELT_S_MAX)
        finally:
            felt_s = time.monotonic()
            for fault in reversed(begun):
                fault.end()
        self._counted.update(fault.name for fault in faults)
        self._site.keep()
        up_s = time.monotonic()
        self._wait_until_well()
        if disturbs:
            self._tally.calm()
        structlog.get_logger().info(
            "round",
            number=number,
            faults=[fault.name for fault in faults],
            felt_s=round(felt_s - began_s, 1),
            up_s=round(up_s - felt_s, 1),
            well_s=round(time.monotonic() - up_s, 1),
        )

    def _is_told(self, words: str, before: int) -> bool:
        self._crew.check()
        return self._tally.told(words) > before

    def _wait_until_well(self) -> None:
        """Whatever can be read was read again, right."""
        before, kinds = self._tally.right(), (*self._asking.kinds, C_GET, C_MOVE)

        def left() -> list[str]:
            self._crew.check()
            now = self._tally.right()
            return [kind for kind in kinds if now[kind] <= before[kind]]

        try:
            wait_until(lambda: not left(), "", WELL_S_MAX)
        except AssertionError:
            raise AssertionError(f"not read again within {WELL_S_MAX:g} s: {left()}; {self._tally.findings}") from None

    def _send(self, number: int) -> None:
        """A study that the listener is to hear of, however often it is cut off until then."""
        study = small(self._seed, number)
        sent = send_items([image.item for image in study.images], router_of(self._site.stack), retries=20)
        assert sent.acknowledged == len(study.images), sent
        self._new.append(study)

    def _hear(self) -> None:
        """Each revision came once, and none was told that it missed some."""
        wanted = {(study.uid, 1) for study in self._new}
        wait_until(lambda: wanted <= set(self._listening.heard), "every new study to be heard of", HEARD_S_MAX)
        twice = {said: count for said, count in self._listening.heard.items() if count > 1}
        if twice or self._listening.resets or self._listening.strange:
            self._tally.found(f"events: twice {twice}, resets {self._listening.resets}, {self._listening.strange}")

    def _report(self, rounds: int, seconds: float) -> Report:
        refused: Counter[str] = Counter()
        for (_, outcome), count in self._tally.outcomes.items():
            if outcome != RIGHT:
                refused[outcome] += count
        cache = "" if self._site.cache is not None else "Redis, as there is no redis-server: the cache is on disk alone"
        return Report(
            seed=self._seed,
            rounds=rounds,
            seconds=round(seconds, 1),
            faults=dict(sorted(self._counted.items())),
            left_out=cache,
            right=dict(sorted(self._tally.right().items())),
            refused=dict(sorted(refused.items())),
            checked_bytes=self._tally.checked_bytes,
            slowest_s=round(self._tally.slowest_s, 1),
            heard=self._listening.heard.total(),
            listened_again=self._listening.connections,
            findings=tuple(self._tally.findings),
        )


def shown(said: Report) -> str:
    """A table as text."""
    lines = [
        ("rounds", f"{said.rounds} in {said.seconds:.0f} s, seed {said.seed}"),
        *((f"  {name}", f"{count}") for name, count in said.faults.items()),
        ("left out", said.left_out or "nothing"),
        ("answered right", f"{sum(said.right.values()):,}, {said.checked_bytes / 1e6:,.0f} MB compared"),
        *((f"  {kind}", f"{count:,}") for kind, count in said.right.items()),
        ("not answered", f"{sum(said.refused.values()):,}, the slowest of all after {said.slowest_s} s"),
        *((f"  {why}", f"{count:,}") for why, count in said.refused.items()),
        ("events", f"{said.heard} heard once each, over {said.listened_again} connections"),
        ("wrong", f"{len(said.findings)}"),
    ]
    return table(lines, said.findings)

"""Four associations that send all the time, some of it again, and note what they were told."""

from __future__ import annotations

import hashlib
import random
import threading
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from radstream.sending import SUCCESS
from streams.store_scu import Lost, NoAssociation, StoreScu, Target
from streams.stored_file import stored_file
from tests.rounds.site import SPOOLING
from tests.rounds.threads import Threads
from tests.routers import CT, EXPLICIT, Ct

TITLES = ("STORES1", "STORES2", *SPOOLING)
NO_ANSWER = "none"
IMAGES_OF_STUDY, IMAGES_OF_ASSOCIATION = 40, 150
AGAIN_OF_REFUSED, AGAIN_OF_ALL, OTHER_CONTENT = 0.5, 0.08, 0.03
# In bytes, and how many of a thousand: most are small, some come in through a file.
_SIZES = ((1_000, 10_000, 850), (10_000, 80_000, 145), (1_100_000, 1_600_000, 5))
# A dead peer is noticed soon. A router that waits for a store that hangs, and then for the spool, answers within that.
_ANSWER_S_MAX = 15.0
# Slower than a busy machine drains a spool, or each outage would leave more of it than the one before.
_PACE_S = 0.25


class Image(NamedTuple):
    """What is sent, by number: everything of it comes from these and the seed."""

    sender: int
    number: int
    content: int


@dataclass
class Notes:
    """What was asked and what was answered. Digests are those of the file that the router is to store."""

    seed: int
    asked: set[str] = field(default_factory=set)
    acknowledged: dict[str, str] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    of_title: Counter[str] = field(default_factory=Counter)
    again: int = 0
    other_content: int = 0
    associations: int = 0
    in_vain: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def asks(self, digest: str, image: Image) -> None:
        with self.lock:
            self.again += digest in self.asked
            self.other_content += bool(image.content) and digest not in self.asked
            self.asked.add(digest)

    def answered(self, digest: str, instance: str, title: str, status: int | None) -> None:
        with self.lock:
            self.answers[NO_ANSWER if status is None else f"0x{status:04X}"] += 1
            if status == SUCCESS:
                self.acknowledged[digest] = instance
                self.of_title[title] += 1

    def opens(self, *, accepted: bool) -> None:
        with self.lock:
            self.associations += accepted
            self.in_vain += not accepted


def drawn(seed: int, image: Image) -> Ct:
    """The same image whenever it is asked for."""
    chance = random.Random(f"{seed}/{image}")
    ((least, most, _),) = chance.choices(_SIZES, [share for _, _, share in _SIZES])
    study = f"2.25.{seed}.{image.sender}.{image.number // IMAGES_OF_STUDY}"
    pixels = chance.randbytes(2 * (chance.randint(least, most) // 2))
    return Ct(study=study, series=f"{study}.1", instance=f"{study}.1.{image.number}", pixels=pixels)


class Senders(Threads):
    """Runs from construction to `stop`."""

    def __init__(self, target: Target, notes: Notes) -> None:
        super().__init__("sender")
        self.notes = notes
        self._target = target
        self._recent: deque[Image] = deque(maxlen=60)
        self.start([_Sender(self, number).run for number in range(len(TITLES))])


class _Sender:
    def __init__(self, all_of_them: Senders, number: int) -> None:
        self._all = all_of_them
        self._notes = all_of_them.notes
        self._number = number
        self._chance = random.Random(f"{self._notes.seed}/{number}")
        self._refused: deque[Image] = deque(maxlen=100)
        self._next = 0
        self._scu: StoreScu | None = None
        self._sent = 0

    def run(self) -> None:
        while not self._all.stopping.is_set():
            image = self._draw()
            status = self._send(image)
            if status != SUCCESS:
                self._refused.append(image)
            self._all._recent.append(image)
            self._all.stopping.wait(_PACE_S)
        if self._scu is not None:
            self._scu.close()

    def _draw(self) -> Image:
        if self._refused and self._chance.random() < AGAIN_OF_REFUSED:
            return self._refused.popleft()
        lot = self._chance.random()
        recent = list(self._all._recent)
        if recent and lot < AGAIN_OF_ALL:
            return self._chance.choice(recent)
        if recent and lot < AGAIN_OF_ALL + OTHER_CONTENT:
            return self._chance.choice(recent)._replace(content=self._next)
        self._next += 1
        return Image(self._number, self._next, 0)

    def _send(self, image: Image) -> int | None:
        ct, title = drawn(self._notes.seed, image), TITLES[self._number]
        data_set = ct.data_set()
        digest = hashlib.sha256(stored_file(CT, ct.instance, EXPLICIT, data_set)).hexdigest()
        scu = self._association(title)
        if scu is None:
            return None
        self._notes.asks(digest, image)
        try:
            status: int | None = scu.store(CT, ct.instance, EXPLICIT, data_set)
        except Lost:
            status, self._scu = None, None
            scu.abort()
        self._notes.answered(digest, ct.instance, title, status)
        return status

    def _association(self, title: str) -> StoreScu | None:
        if self._scu is not None and self._sent >= IMAGES_OF_ASSOCIATION:
            self._scu.close()
            self._scu = None
        if self._scu is None:
            with suppress(NoAssociation):
                self._scu = StoreScu(self._all._target, title, [(CT, EXPLICIT)], answer_s_max=_ANSWER_S_MAX)
            self._sent = 0
            self._notes.opens(accepted=self._scu is not None)
        self._sent += 1
        return self._scu

"""Which images are held or rejected, as the log says: the same for all that would use one (docs/decisions/0060).

What validate itself holds was never valid, so it is left to the events of validate; but who finds an image in a store,
and not by an event, asks whether it ever flowed.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass

from schemas import load_topics
from streams.clock import Clock
from streams.events import SUBJECTS, InstanceQuarantined, OfInstance, QuarantineCommand
from streams.log import Log, TopicPartition
from streams.origin import first_offset
from streams.wire import Record, Undecodable, decode

# An image of another patient than its study: who releases it for another reason has not said that it is of this one.
CONTRADICTS = "contradicts_patient"
# Not the first image under its SOP Instance UID (docs/decisions/0093).
OTHER_CONTENT = "other_content"
# Of what a person decided; a rejection is an event too, for who follows studies (consumers/validate/releasing.py).
DECISION = "quarantine"
_BY_VALIDATE = "validate"
_LOOK_S = 1.0
_HELD, _DECIDED = SUBJECTS[InstanceQuarantined], SUBJECTS[QuarantineCommand]


def covers(released: str, held: str) -> bool:
    """Whether who released what was held for one reason has also decided on the other.

    Who has let a file go that was cut off has not said that it is of this patient.
    """
    return held != CONTRADICTS or released == CONTRADICTS


@dataclass(slots=True)
class _Image:
    """`codes` are what it is held for; `action`, `code` and `offset` are of the last decision on it."""

    series_uid: str
    codes: frozenset[str] = frozenset()
    action: str = ""
    code: str = ""
    offset: int = -1

    @property
    def is_held(self) -> bool:
        if self.action == "rejected":
            return True
        if self.action == "released":
            return any(not covers(self.code, held) for held in self.codes)
        return bool(self.codes)


class HeldImages:
    """Read from the beginning when it is asked first, then on from where it was. Used from several threads.

    Memory: about 300 bytes for each image that was ever held or decided on.
    """

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._images: dict[tuple[str, bytes], _Image] = {}
        self._not_valid: set[tuple[str, bytes]] = set()
        self._next: dict[TopicPartition, int] = {}
        self._looked_s = float("-inf")

    def among(self, tenant: str, digests: Collection[str], *, since_s: float | None = None) -> set[str]:
        """Those of `digests` (hex) that are held or rejected, by all that the log held at `since_s`: a monotonic time
        of the clock, a second ago where none is given.

        Raises LogAway, LogRefused, and UnknownSchema for what this build cannot read.
        """
        with self._lock:
            if self._looked_s < (self._clock.monotonic() - _LOOK_S if since_s is None else since_s):
                self._read_on()
            named = ((digest, self._images.get((tenant, bytes.fromhex(digest)))) for digest in digests)
            return {digest for digest, image in named if image is not None and image.is_held}

    def flowed(self, tenant: str, digests: Collection[str]) -> set[str]:
        """Those of `digests` that nothing keeps from having flowed once, by all that the log holds now: validate has
        not held them, or a person has let them go. Raises as `among`."""
        self.among(tenant, (), since_s=float("inf"))
        with self._lock:
            named = {digest: (tenant, bytes.fromhex(digest)) for digest in digests}
            return {digest for digest, name in named.items() if name not in self._not_valid or self._is_let_go(name)}

    def _is_let_go(self, name: tuple[str, bytes]) -> bool:
        return name in self._images and self._images[name].action == "released"

    def series_of(self, tenant: str, digest: str) -> str:
        """The Series Instance UID of an image that was held; empty where it never was."""
        with self._lock:
            image = self._images.get((tenant, bytes.fromhex(digest)))
            return image.series_uid if image else ""

    def _read_on(self) -> None:
        now_s = self._clock.monotonic()
        self._next = self._next or dict.fromkeys(self._partitions(), 0)
        for name, (first, end) in self._log.bounds(self._next.keys()).items():
            start = max(self._next[name], first)
            for record in self._log.read(name, start, end) if start < end else ():
                # What is no event is a dead letter of the catalog, which reads it too.
                with suppress(Undecodable):
                    self._take(record)
            self._next[name] = end
        self._looked_s = now_s

    def _partitions(self) -> Iterator[TopicPartition]:
        for topic in (*load_topics().physical(_HELD), *load_topics().physical(_DECIDED)):
            for number in range(self._log.partitions(topic)):
                yield TopicPartition(topic, number)

    def _take(self, record: Record) -> None:
        match decode(record):
            case InstanceQuarantined() as event if event.provenance.step == _BY_VALIDATE:
                self._not_valid.add((sys.intern(event.meta.tenant), bytes.fromhex(event.instance.digest)))
            case InstanceQuarantined() as event if event.provenance.step != DECISION:
                image = self._of(event)
                image.codes = image.codes | {sys.intern(event.code)}
            case QuarantineCommand() as event if event.action != "other":
                image, offset = self._of(event), first_offset(record)
                if offset > image.offset:
                    image.action, image.code, image.offset = event.action, sys.intern(event.code), offset

    def _of(self, event: OfInstance) -> _Image:
        name = sys.intern(event.meta.tenant), bytes.fromhex(event.instance.digest)
        return self._images.setdefault(name, _Image(sys.intern(event.instance.series_uid)))

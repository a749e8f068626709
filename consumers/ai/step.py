"""The step: a study revision, or an instance, gets what each deployed model says of it.

One request is one model and one series, instance or revision. What fails is tried again alone and a bounded number of
times; then the record is a dead letter beside an explicit `failed`, and the other requests of the record were answered.
"""

from __future__ import annotations

from collections.abc import Sequence

from consumers.ai.answering import Answering, Failure, images_failed
from consumers.ai.asking import Asking
from consumers.ai.config import Limits
from consumers.ai.result import Deployed, Spent, unanalysed
from streams.clock import Clock
from streams.events import Event
from streams.held import HeldImages
from streams.log import LogAway, LogRefused
from streams.objects import Absent, Damaged, NoRoom, ObjectStore
from streams.step import Done, Input, Outcome, RetryLater, Stored

# Raised by hand when a change here changes what comes out, of every model.
CODE_VERSION = 2


class Inference:
    """Implements `streams.step.Step`. `stores` are the names of the stores to look for images in, the nearest first."""

    name = "ai"

    def __init__(
        self,
        deployed: Sequence[Deployed],
        store: ObjectStore,
        stores: Sequence[str],
        limits: Limits,
        held: HeldImages,
    ) -> None:
        self._asking = Asking(deployed, store, stores, held)
        self._store = store
        self._limits = limits

    def __call__(self, batch: Sequence[Input[Event]], clock: Clock) -> Sequence[Outcome]:
        return [self._one(item, clock) for item in batch]

    def _one(self, item: Input[Event], clock: Clock) -> Outcome:
        """Raises StoreAway, but not NoRoom: then everybody waits."""
        try:
            asked = self._asking.asked(item, clock)
        except (Absent, Damaged, NoRoom) as error:
            failures = [images_failed(one, error, self._limits) for one in self._asking.whole(item, clock)]
            return _again(failures, [], clock)
        except (LogAway, LogRefused) as error:
            return RetryLater(f"the log does not say which images are held ({error})", "world")
        answering = Answering(self._store, self._limits, clock)
        answers = [answering.answer(one) for one in asked]
        said = [one for one in answers if isinstance(one, Done)]
        failures = [one for one in answers if isinstance(one, Failure)]
        return _again(failures, said, clock) if failures else together(said)


def _again(failures: Sequence[Failure], said: Sequence[Done], clock: Clock) -> RetryLater:
    now = clock.now()
    return RetryLater(
        ", ".join(sorted({one.told for one in failures})),
        "subject",
        attempts_max=max(one.attempts_max for one in failures),
        meanwhile=together(said),
        given_up=Done.emit(*(unanalysed(one.request, one.reason, Spent(), now) for one in failures)),
    )


def together(parts: Sequence[Done]) -> Done:
    """All of them, one after the other."""

    def events(stored: tuple[Stored, ...]) -> list[Event]:
        rest, out = list(stored), list[Event]()
        for part in parts:
            mine, rest = rest[: len(part.objects)], rest[len(part.objects) :]
            out += part.events(tuple(mine))
        return out

    return Done(tuple(new for part in parts for new in part.objects), events)

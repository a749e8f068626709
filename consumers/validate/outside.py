"""That a study has an image from outside is in the log before anything else comes of that image.

What comes of it goes to another topic than this does, and other images of the study may be close behind: whoever reads
one of those is to know. So it is written, and acknowledged, before the image is looked at, rather than beside what the
image becomes; once for each study, in a step's words: a second record would be the same event.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from msgspec import structs

from consumers.validate.step import Judged, Validate
from streams.clock import Clock
from streams.events import InstanceReceived, QuarantineCommand, StudyOutside
from streams.generation import of_facts
from streams.log import Log, LogAway, LogRefused
from streams.outside_studies import STEP, OutsideStudies
from streams.step import Input, Outcome, RetryLater, Step
from streams.wire import SchemaIds, encode

_ACKNOWLEDGED_S_MAX = 30.0


class OutsideFirst:
    """Implements `streams.step.Step[InstanceReceived | QuarantineCommand]` around validate. Used from several threads.

    Not in a replay: that has been said.
    """

    name = Validate.name

    def __init__(self, validate: Step[Judged], log: Log, ids: SchemaIds, source: str, known: OutsideStudies) -> None:
        self._validate = validate
        self._log = log
        self._ids = ids
        self._source = source
        self._known = known
        self._identity = of_facts(STEP)
        self._lock = threading.Lock()

    def __call__(self, batch: Sequence[Input[Judged]], clock: Clock) -> Sequence[Outcome]:
        return [self._one(item, clock) for item in batch]

    def _one(self, item: Input[Judged], clock: Clock) -> Outcome:
        try:
            self._say(item, clock)
        except LogAway:
            return RetryLater("the log does not answer", "world")
        except LogRefused as error:
            return RetryLater(f"the log does not take which studies are from outside ({error})", "world")
        (outcome,) = self._validate([item], clock)
        return outcome

    def _say(self, item: Input[Judged], clock: Clock) -> None:
        """Returns when the log has it. Raises LogAway, LogRefused."""
        event = item.event
        study_uid = event.instance.study_uid
        if event.outside is None or not study_uid or self._known.of(event.meta.tenant, study_uid):
            return
        with self._lock:
            self._known.read_on()
            if not self._known.of(event.meta.tenant, study_uid):
                self._write(self._event(item, clock))
                self._known.read_on()

    def _event(self, item: Input[Judged], clock: Clock) -> StudyOutside:
        event: InstanceReceived | QuarantineCommand = item.event
        assert event.outside is not None  # noqa: S101 - else there is nothing to say
        study_uid = event.instance.study_uid
        meta = structs.replace(
            event.meta,
            event_id=self._identity.event_id(event.meta.tenant, study_uid, 0),
            subject=study_uid,
            occurred_at=clock.now(),
        )
        return StudyOutside(
            meta=meta, provenance=self._identity.provenance(item), study_uid=study_uid, outside=event.outside
        )

    def _write(self, event: StudyOutside) -> None:
        producer = self._log.producer()
        try:
            producer.send(encode(event, self._ids, source=self._source)).result(_ACKNOWLEDGED_S_MAX)
        except TimeoutError:
            raise LogAway(f"no acknowledgement in {_ACKNOWLEDGED_S_MAX:g} s") from None
        finally:
            producer.close(_ACKNOWLEDGED_S_MAX)

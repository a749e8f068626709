"""Every published example of what a step reads goes through the step, with the object it refers to in the store."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from consumers.derive.config import Output
from consumers.derive.step import Derive
from consumers.validate.config import Limits
from consumers.validate.step import Validate
from schemas import load_subjects
from streams.clock import SystemClock
from streams.events import EVENTS, SUBJECTS, Event, InstanceDerived, InstanceReceived, InstanceValidated
from streams.memory_store import MemoryStore
from streams.step import Done, Input, NewObject, Quarantine
from streams.wire import Record, SchemaIds, decode, encode
from tests import images
from tests.received import identity

EXAMPLES = [
    pytest.param(subject, example, id=f"{subject}-{number}")
    for subject in (SUBJECTS[InstanceReceived], SUBJECTS[InstanceValidated])
    for number, example in enumerate(load_subjects()[subject].examples, start=1)
]


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")  # One example has a leading zero, on purpose.
@pytest.mark.parametrize(("subject", "example"), EXAMPLES)
def test_an_example_goes_through_its_step(subject: str, example: dict[str, Any]) -> None:
    store = MemoryStore()
    event = _with_object(store, msgspec.convert(example, EVENTS[subject]))
    item = Input(event, Record(subject, "topic-id", 0, 0, 0, None, None))
    step: Any = (
        Validate(identity("validate"), store, Limits())
        if isinstance(event, InstanceReceived)
        else Derive(identity("derive"), store, Output())
    )

    (outcome,) = step([item], SystemClock())

    if isinstance(outcome, Quarantine):
        assert not all((event.instance.study_uid, event.instance.series_uid, event.instance.sop_instance_uid))
        return
    assert isinstance(outcome, Done)
    (made,) = outcome.events(tuple(store.create(new) for new in outcome.objects))
    message = encode(made, SchemaIds(), source="radstream/t/s/test")
    read = decode(Record(message.topic, "topic-id", 0, 0, 0, message.key, message.value, message.headers))
    assert isinstance(read, (InstanceValidated, InstanceDerived))
    assert read == made
    assert read.provenance.inputs[0].event_id == event.meta.event_id
    assert (read.meta.tenant, read.meta.lane) == (event.meta.tenant, event.meta.lane)


def _with_object(store: MemoryStore, event: Event) -> InstanceReceived | InstanceValidated:
    """The event, with an image of its UIDs in the store."""
    assert isinstance(event, (InstanceReceived, InstanceValidated))
    data = images.native(
        np.zeros((1, 8, 8), np.uint16),
        StudyInstanceUID=event.instance.study_uid,
        SeriesInstanceUID=event.instance.series_uid,
        SOPInstanceUID=event.instance.sop_instance_uid or "1.2.3",
    )
    stored = store.create(NewObject(event.meta.tenant, event.object.store, event.object.key, data))
    return msgspec.structs.replace(event, object=stored.ref)

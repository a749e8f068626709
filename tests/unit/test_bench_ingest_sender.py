"""The sender of `bench ingest`: what it sends is what pynetdicom reads, and what it is answered is what it says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from bench.ingest_cases import CASES
from bench.ingest_job import Job, send
from bench.ingest_load import CALLED_AE, encoded, images, load
from bench.ingest_uids import instance_in, instance_uid, run_of, series_uid, study_uid

RUN = 7
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
OUT_OF_RESOURCES = 0xA700


@dataclass
class Oracle:
    """A receiver that is pynetdicom's alone. `refused` is how many requests it answers with 0xA700."""

    port: int = 0
    refused: int = 0
    data_sets: dict[str, bytes] = field(default_factory=dict)
    associations: int = 0
    contexts: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def on_store(self, event: evt.Event) -> int:
        with self.lock:
            if self.refused:
                self.refused -= 1
                return OUT_OF_RESOURCES
            self.data_sets[str(event.request.AffectedSOPInstanceUID)] = event.request.DataSet.getvalue()
            return 0

    def on_accepted(self, event: evt.Event) -> None:
        with self.lock:
            self.associations += 1
            self.contexts.append(len(event.assoc.requestor.requested_contexts))


@contextmanager
def oracle(pdu_bytes_max: int = 16_382, ae_title: str = CALLED_AE, sop_class: str = CT) -> Iterator[Oracle]:
    entity = AE(ae_title=ae_title)
    entity.maximum_pdu_size, entity.require_called_aet = pdu_bytes_max, True
    entity.add_supported_context(sop_class)
    found = Oracle()
    handlers: list[evt.EventHandlerType] = [
        (evt.EVT_C_STORE, found.on_store),
        (evt.EVT_ACCEPTED, found.on_accepted),
    ]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    found.port = server.server_address[1]
    try:
        yield found
    finally:
        server.shutdown()


@pytest.fixture(scope="module")
def image() -> Dataset:
    return images()["ct"]


def job(port: int, image: Dataset, case: str = "ct-1", instances: int = 5, workers: int = 1) -> Job:
    return Job(
        host="127.0.0.1",
        port=port,
        load=load(CASES[case], image, CALLED_AE),
        run=RUN,
        instances=instances,
        workers=workers,
        one_each=CASES[case].one_each,
        study_instances=2,
        seconds_max=30,
    )


def expected(image: Dataset, worker: int, number: int) -> bytes:
    """The data set as pydicom writes it with these UIDs."""
    named = deepcopy(image)
    named.StudyInstanceUID = study_uid(RUN, worker, number // 2).decode()
    named.SeriesInstanceUID = series_uid(RUN, worker, number // 2).decode()
    named.SOPInstanceUID = instance_uid(RUN, worker, number).decode()
    return encoded(named)


@pytest.mark.parametrize("pdu_bytes_max", [4096, 16_382, 131_072, 0])
def test_every_instance_arrives_whole_under_a_uid_of_its_own(pdu_bytes_max: int, image: Dataset) -> None:
    with oracle(pdu_bytes_max) as receiver:
        result = send(job(receiver.port, image, instances=5, workers=2))
    assert {
        instance_uid(RUN, one.worker, number).decode(): expected(image, one.worker, number)
        for one in result.workers
        for number in one.numbers
    } == receiver.data_sets
    assert sorted(len(one.numbers) for one in result.workers) == [2, 3]
    assert receiver.associations == 2
    assert result.cpu_s > 0
    assert all(0 < took < one.ended - one.started for one in result.workers for took in one.seconds)


def test_one_association_for_each_instance(image: Dataset) -> None:
    with oracle() as receiver:
        send(job(receiver.port, image, case="ct-each-128", instances=3, workers=2))
    assert len(receiver.data_sets) == receiver.associations == 3
    assert receiver.contexts == [128] * 3


def test_what_is_not_acknowledged_is_said(image: Dataset) -> None:
    with oracle() as receiver:
        receiver.refused = 2
        (worker,) = send(job(receiver.port, image)).workers
    assert worker.failures == {"status 0xA700": 2}
    assert worker.numbers == [2, 3, 4]
    assert len(worker.seconds) == 3


def test_a_context_that_is_refused_is_said(image: Dataset) -> None:
    with oracle(sop_class=MR) as receiver:
        (worker,) = send(job(receiver.port, image)).workers
    assert list(worker.failures) == ["presentation context refused"]
    assert worker.numbers == []


def test_an_association_that_is_rejected_is_said(image: Dataset) -> None:
    with oracle(ae_title="ANOTHER") as receiver:
        (worker,) = send(job(receiver.port, image, case="ct-each", instances=2)).workers
    assert worker.failures == {"association rejected": 2}


def test_nobody_listens(image: Dataset) -> None:
    with oracle() as receiver:
        port = receiver.port
    (worker,) = send(job(port, image)).workers
    assert sum(worker.failures.values()) == 1
    assert worker.numbers == []


def test_a_uid_is_found_in_the_bytes_and_names_its_run(image: Dataset) -> None:
    uid = instance_in(expected(image, 3, 9))
    assert uid == instance_uid(RUN, 3, 9).decode()
    assert run_of(uid) == RUN
    assert len(uid) == 44
    assert instance_in(b"nothing of ours") is None

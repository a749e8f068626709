"""What is said beside the answers of an association moves none of its deadlines once its last word is said."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest

from producers.dicom_router.data_set import DataSet
from producers.dicom_router.upper_layer import association, command_set
from producers.dicom_router.upper_layer.messages import Pace, Request
from producers.dicom_router.upper_layer.notices import Notices, Notification
from tests.held_operations import LIMITS, PATIENCE_S, Held, held_association, store
from tests.raw_peer import RELEASE_RQ, associate_rq, command, context_item, p_data, pdv, short, status_of

COMMITMENT, INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
SAID = partial(command_set.event_report, sop_class=COMMITMENT, sop_instance=INSTANCE, event_type=1)
REPORT = Notification(5, SAID, b"")
TAKEN = command(short(0x0100, 0x8100), short(0x0120, 1), short(0x0800, 0x0101), short(0x0900, 0))


def test_who_answers_a_report_releases_and_stays_is_not_waited_for_as_in_an_association(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(association, "_CLOSE_S_MAX", 0.2)
    asked: list[Notices] = []
    answer = Held.answer

    def noted(held: Held, request: Request, sink: DataSet) -> int:
        assert request.notices is not None
        asked.append(request.notices)
        return answer(held, request, sink)

    monkeypatch.setattr(Held, "answer", noted)
    patient = replace(LIMITS, pace=Pace(600.0, 1024))
    request = associate_rq(context_item(1), context_item(5, COMMITMENT))
    with held_association(4, request, limits=patient) as running, ThreadPoolExecutor(1) as pool:
        running.held.let_all_go()
        running.peer.send(store(1))
        stored = running.peer.read()
        assert stored is not None
        assert status_of(stored) == 0
        told = pool.submit(asked[0].ask, REPORT, PATIENCE_S)
        assert running.peer.read() is not None
        running.peer.send(p_data(pdv(TAKEN, command=True, context=5)) + RELEASE_RQ)
        assert told.result(PATIENCE_S) == 0
        assert running.peer.read() == (6, bytes(4))
        running.thread.join(PATIENCE_S)
        assert running.how == ["released"]

"""What the gateway waits for before it answers is written also after a client gave itself up."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.problem import Problem
from gateway.restoring import Restoring
from gateway.writing import Writing
from streams.config import Site
from streams.log import ClientOver, Delivery
from streams.wire import Message, SchemaIds
from tests.routers import AdjustableClock


class Client:
    def __init__(self, failure: Exception | None) -> None:
        self._failure = failure

    def send(self, message: Message) -> Future[Delivery]:
        future: Future[Delivery] = Future()
        if self._failure is None:
            future.set_result(Delivery(message.topic, 0, 0))
        else:
            future.set_exception(self._failure)
        return future

    def close(self, timeout_s: float) -> int:
        return 0


def context() -> Any:
    """Its log's first client has given itself up."""
    clients = iter([Client(ClientOver("a gap")), Client(None)])
    log = SimpleNamespace(producer=lambda: next(clients))
    return SimpleNamespace(
        name="gateway", log=log, clock=AdjustableClock(), ids=SchemaIds(), site=Site(tenant="t", site="here")
    )


def test_who_reads_is_audited_by_another_client() -> None:
    made = context()
    writing = Writing(made)
    with pytest.raises(Problem):
        asyncio.run(writing.audited("reader", "study.read", "1.2.3", {}))
    made.clock.ahead_s += 60
    asyncio.run(writing.audited("reader", "study.read", "1.2.3", {}))
    writing.close()


def test_a_restore_is_commanded_by_another_client() -> None:
    made = context()
    restoring = Restoring(made, SimpleNamespace(), 60.0)
    with pytest.raises(ClientOver):
        restoring._command("1.2.3", "reader")
    made.clock.ahead_s += 60
    restoring._command("1.2.3", "reader")
    restoring.close()

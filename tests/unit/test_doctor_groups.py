"""The doctor looks at how long brokers remember where a group was: one that is forgotten begins anew."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException

from infra.local.parts import kafka
from radstream.checks.broker import memory
from radstream.checks.check import Check


def looked_at(minutes: str | None) -> list[Check]:
    """None where the broker does not tell."""
    future: Future[Any] = Future()
    if minutes is None:
        future.set_exception(KafkaException(KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED)))
    else:
        future.set_result({"offsets.retention.minutes": SimpleNamespace(value=minutes)})
    client = SimpleNamespace(describe_configs=lambda asked, **_: dict.fromkeys(asked, future))
    return list(memory(cast(Any, client), 1))


def test_kafkas_own_seven_days_are_said() -> None:
    (found,) = looked_at("10080")
    assert found.state == "note"
    assert "7 days" in found.found
    assert "2147483647" in (found.mend or "")


@pytest.mark.parametrize("minutes", [kafka.settings(1)["offsets.retention.minutes"], None])
def test_brokers_as_we_set_them_up_and_those_that_do_not_tell_are_no_news(minutes: str | None) -> None:
    assert looked_at(minutes) == []

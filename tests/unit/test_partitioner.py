"""The fake log puts keys where Java and librdkafka put them."""

from __future__ import annotations

import pytest

from streams.memory_log import MemoryLog
from streams.wire import Message
from tests.partitions import MURMUR2, java_partition


@pytest.mark.parametrize("key", MURMUR2)
@pytest.mark.parametrize("partitions", [6, 48])
def test_the_fake_partitions_as_java_does(key: bytes, partitions: int) -> None:
    log = MemoryLog()
    log.create_topic("t", partitions)
    delivery = log.producer().send(Message("t", key, b"")).result()
    assert delivery.partition == java_partition(key, partitions)

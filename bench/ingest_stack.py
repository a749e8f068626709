"""This router with its whole promise: object fsynced, event acknowledged, in a stack made for the measurement.

A stack of its own, with the router and what it stands on and nothing that consumes: peers have none either, and what is
sent goes with it. It lies on a disk beside the default one, since a store on tmpfs cannot keep what it acknowledges.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from infra.local import home as homes
from infra.local.errors import StackError
from infra.local.stack import Stack
from radstream.errors import Failure
from radstream.send import router_of
from schemas import load_topics
from streams import config as configuration
from streams.config import Kafka, Site, Store
from streams.events import InstanceReceived
from streams.kafka_log import KafkaLog
from streams.log import TopicPartition
from streams.s3 import S3Store
from streams.store_scu import Target
from streams.wire import decode

NAME: Final = "radstream"
WHAT: Final = "the router in a stack; object fsynced, event acknowledged"
ROUTER: Final = "router"
_PARTS: Final = ("kafka", "registry", "store", ROUTER)
_STORE, _TOPIC = "hot", "imaging.instance.received"


@dataclass(frozen=True)
class Promise:
    """A running router. `pids` are its process and those that it stands on, by name; `durable` is the store's word."""

    target: Target
    pids: Mapping[str, int]
    durable: bool
    _log: KafkaLog
    _store: S3Store
    _tenant: str

    def positions(self) -> Mapping[TopicPartition, int]:
        """Where the topics of received instances end now."""
        topics = load_topics().physical(_TOPIC)
        partitions = [TopicPartition(name, number) for name in topics for number in range(self._log.partitions(name))]
        return {partition: end for partition, (_, end) in self._log.bounds(partitions).items()}

    def held(self, since: Mapping[TopicPartition, int]) -> set[str]:
        """SOP Instance UIDs of what has an event written since then, and its object in the store."""
        keys = {key for key, _ in self._store.keys(_STORE, f"{self._tenant}/studies/")}
        found = set()
        for partition, end in self.positions().items():
            for record in self._log.read(partition, since[partition], end):
                event = decode(record)
                if isinstance(event, InstanceReceived) and event.object.key in keys:
                    found.add(event.instance.sop_instance_uid)
        return found


def version() -> str:
    return f"radstream {metadata.version('radstream')}"


@contextlib.contextmanager
def promised(say: Callable[[str], None]) -> Iterator[Promise]:
    """Starts the stack and removes it afterwards. Raises Failure where it does not start."""
    beside = homes.default_home().parent
    beside.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix=".radstream-bench-", dir=beside))
    home.chmod(0o755)
    stack = Stack(home, say)
    try:
        try:
            stack.up(_PARTS)
        except StackError as error:
            raise Failure(f"the stack to be measured did not start: {error}") from None
        config = configuration.load(stack.config_path)
        yield Promise(
            target=router_of(config),
            pids={name: stack.pid(name) for name in (ROUTER, *_PARTS[:-1])},
            durable=bool(stack.state.durable),
            _log=KafkaLog(config.section("kafka", Kafka)),
            _store=S3Store(config.section("store", Store)),
            _tenant=config.section("site", Site).tenant,
        )
    finally:
        with contextlib.suppress(StackError):
            stack.down()
        shutil.rmtree(home, ignore_errors=True)

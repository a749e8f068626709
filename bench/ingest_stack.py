"""This router with its whole promise, or with that of its spool, in a stack made for the measurement.

A stack of its own, with the router and what it stands on and nothing that consumes: peers have none either, and what is
sent goes with it. It lies on a disk beside the default one, since a store on tmpfs cannot keep what it acknowledges.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from bench.ingest_load import CALLING_AE
from bench.own_stack import own_stack
from infra.local.errors import StackError
from radstream.errors import Failure
from radstream.send import router_of
from radstream.spool import look
from schemas import load_topics
from streams import config as configuration
from streams.config import Config, Kafka, Site, Store
from streams.events import InstanceReceived
from streams.kafka_log import KafkaLog
from streams.log import TopicPartition
from streams.s3 import S3Store
from streams.store_scu import Target
from streams.wire import decode

NAME: Final = "radstream"
SPOOLED: Final = "radstream-spool"
SEVERAL: Final = "-2"
_WHOLE: Final = "the router in a stack; object fsynced, event acknowledged"
_ON_THE_SPOOL: Final = "the same, acknowledged by its fsynced spool, which drains meanwhile"
WHAT: Final = {
    NAME: _WHOLE,
    SPOOLED: _ON_THE_SPOOL,
    f"{NAME}{SEVERAL}": f"two processes of {_WHOLE}",
    f"{SPOOLED}{SEVERAL}": f"two processes of {_ON_THE_SPOOL}",
}
PROCESSES: Final = {name: 2 if name.endswith(SEVERAL) else 1 for name in WHAT}
# One router is both: a site chooses the promise by calling AE title.
CALLING: Final = {name: "RADSPOOL" if SPOOLED in name else CALLING_AE for name in WHAT}
ROUTER: Final = "router"
_PARTS: Final = ("kafka", "registry", "store", ROUTER)
_STORE, _TOPIC = "hot", "imaging.instance.received"
_DRAINED_S_MAX: Final = 300.0
_POLL_S: Final = 0.1


@dataclass(frozen=True)
class Promise:
    """A running router. `pids` are its process and those that it stands on, by name; `durable` is the store's word."""

    target: Target
    pids: Mapping[str, int]
    durable: bool
    _log: KafkaLog
    _store: S3Store
    _config: Config

    def positions(self) -> Mapping[TopicPartition, int]:
        """Where the topics of received instances end now."""
        topics = load_topics().physical(_TOPIC)
        partitions = [TopicPartition(name, number) for name in topics for number in range(self._log.partitions(name))]
        return {partition: end for partition, (_, end) in self._log.bounds(partitions).items()}

    def held(self, since: Mapping[TopicPartition, int]) -> set[str]:
        """SOP Instance UIDs of what has an event written since then, and its object in the store, the spool drained."""
        self._drained()
        tenant = self._config.section("site", Site).tenant
        keys = {key for key, _ in self._store.keys(_STORE, f"{tenant}/studies/")}
        found = set()
        for partition, end in self.positions().items():
            for record in self._log.read(partition, since[partition], end):
                event = decode(record)
                if isinstance(event, InstanceReceived) and event.object.key in keys:
                    found.add(event.instance.sop_instance_uid)
        return found

    def _drained(self) -> None:
        """Returns when nothing waits on the spool, or when it took too long: then what waits is not held."""
        deadline = time.monotonic() + _DRAINED_S_MAX
        while (found := look(self._config)) and found.state.instances and time.monotonic() < deadline:
            time.sleep(_POLL_S)


def version() -> str:
    return f"radstream {metadata.version('radstream')}"


@contextlib.contextmanager
def promised(processes: int, say: Callable[[str], None]) -> Iterator[Promise]:
    """Starts a stack, its router with so many processes, and removes it afterwards. Raises Failure where it does not
    start."""
    with own_stack(say) as stack:
        try:
            stack.up(_PARTS[:-1])
            _configure(stack.config_path, CALLING[SPOOLED], processes)
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
            _config=config,
        )


def _configure(config: Path, calling_ae: str, processes: int) -> None:
    """`calling_ae` is answered by the spool."""
    text = config.read_text(encoding="utf-8")
    for section, setting in (
        ("[router]\n", f"processes = {processes}\n"),
        ("[router.spool]\n", f'acknowledge_of = {{ {calling_ae} = "spool" }}\n'),
    ):
        text = text.replace(section, f"{section}{setting}")
    config.write_text(text, encoding="utf-8")

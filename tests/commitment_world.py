"""The service `commitment` on a log and a store in memory, with a catalog that a test fills and its own clock."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from consumers.commitment.config import Settings
from consumers.commitment.judging import Content, Known
from consumers.commitment.step import NAME, Commitment
from consumers.commitment.telling import Teller
from schemas import load_topics
from streams.commitment_turns import Turns
from streams.config import Config, Site
from streams.events import CommitmentReport, CommitmentRequest, CommitmentResult, Event
from streams.generation import of_facts
from streams.log import Log, TopicPartition
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.objects import ObjectStore
from streams.runner import Runner
from streams.runner_settings import RunnerSettings
from streams.service import Context
from streams.step import Away
from streams.wire import SchemaIds, decode, encode
from tests.hooked_log import Crash, HookedLog
from tests.nodes import no_tls
from tests.routers import AdjustableClock

REQUESTS, RESULTS, REPORTS = (f"imaging.commitment.{name}" for name in ("request", "result", "report"))
TOPICS = (REQUESTS, RESULTS, REPORTS, "imaging.retry.commitment", "imaging.deadletter.commitment")
# Short waits: what is tested is what happens, not how long it takes.
QUICK = RunnerSettings(
    threads=4, batch_max=1, world_wait_s=0.05, world_wait_s_max=0.2, park_wait_s=0.05, park_wait_s_max=0.2
)


@dataclass
class Shelf:
    """What a catalog would know. `first` has the request that had a Transaction UID first; `behind`: not even the
    request; `lacks`: not all that had arrived before it.
    """

    contents: dict[str, list[Content]] = field(default_factory=dict)
    first: dict[tuple[str, str], str] = field(default_factory=dict)
    away: bool = False
    behind: bool = False
    lacks: bool = False
    asked: threading.Event = field(default_factory=threading.Event)

    def holds(self, sop_class: str, *uids: str, copies: int = 2) -> None:
        for uid in uids:
            self.contents[uid] = [Content(sop_class, copies)]

    def of(self, request: CommitmentRequest) -> Known:
        self.asked.set()
        if self.away:
            raise Away("the catalog does not answer")
        named = (request.source.calling_ae, request.transaction_uid)
        first = None if self.behind else self.first.setdefault(named, request.meta.event_id)
        return Known(first, dict(self.contents), self.lacks)


def with_topics(log: MemoryLog, names: Iterable[str] = TOPICS, partitions: int = 3) -> MemoryLog:
    for name in names:
        log.create_topic(name, 1 if load_topics().topics.get(name) else partitions)
    return log


def told(log: Log, topic: str) -> list[Event]:
    """What a topic holds, partition by partition."""
    assert topic in load_topics().topics
    names = [TopicPartition(topic, number) for number in range(log.partitions(topic))]
    return [decode(record) for name, (start, end) in log.bounds(names).items() for record in log.read(name, start, end)]


@dataclass
class World:
    """`nodes` is the site's file; it may be written while the service runs."""

    nodes: Path
    log: MemoryLog
    store: ObjectStore = field(default_factory=MemoryStore)
    shelf: Shelf = field(default_factory=Shelf)
    clock: AdjustableClock = field(default_factory=AdjustableClock)
    settings: Settings = field(
        default_factory=lambda: Settings(
            http_port=0, dsn="", deadline_s=3600.0, answer_s_max=30.0, association_first_s=0.0, runner=QUICK
        )
    )

    def node(self, port: int, ae_title: str = "CT1") -> None:
        self.nodes.write_text(f'[ct-1]\nae_title = "{ae_title}"\nhost = "127.0.0.1"\nport = {port}\n')

    def step(self) -> Commitment:
        teller = Teller(self.nodes, no_tls(), self.settings.answer_s_max, self.clock.monotonic)
        return Commitment(of_facts(NAME), self.shelf, teller, Turns(self.store, self.clock), self.settings)

    def write(self, event: Event) -> None:
        producer = self.log.producer()
        producer.send(encode(event, SchemaIds(), source="test")).result(5)
        producer.close(5)

    def results(self) -> list[CommitmentResult]:
        return [event for event in told(self.log, RESULTS) if isinstance(event, CommitmentResult)]

    def reports(self) -> list[CommitmentReport]:
        return [event for event in told(self.log, REPORTS) if isinstance(event, CommitmentReport)]

    def parked(self) -> int:
        """How often something was put aside."""
        names = [TopicPartition(TOPICS[3], number) for number in range(self.log.partitions(TOPICS[3]))]
        return sum(end for _, end in self.log.bounds(names).values())

    @contextmanager
    def running(self, log: HookedLog | None = None) -> Iterator[None]:
        """The service in a thread, until the block ends; `log` is how a process has it that is to die."""
        context = Context(
            name=NAME,
            config=Config(Path("none"), "", {}),
            site=Site(tenant="t", site="here"),
            log=log or self.log,
            store=self.store,
            ids=SchemaIds(),
            clock=self.clock,
        )
        runner = Runner(context, self.step(), of_facts(NAME), self.settings.runner)
        failed: list[BaseException] = []

        def run() -> None:
            try:
                runner.run()
            except BaseException as error:  # noqa: BLE001 - the test looks at it
                failed.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            context.stopping.set()
            thread.join(60)
            assert not thread.is_alive()
            if log is not None:
                log.kill()
        assert [type(error) for error in failed] == ([] if log is None else [Crash])

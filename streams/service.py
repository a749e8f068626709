"""How every service starts and ends.

    def main(context: Context, settings: Settings) -> None: ...

    run("validate", Settings, main)

What `check` finds wrong with the configuration ends a start before the service says that it is ready.

Exit codes: 0 after SIGTERM or SIGINT, 1 for a configuration that cannot be used, 3 where the service stopped itself
(one line says why and what to do), 4 for what nobody planned.
"""

from __future__ import annotations

import argparse
import gc
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeVar

import structlog

from streams import config as configuration
from streams import logs, metrics
from streams.clock import Clock, SystemClock
from streams.config import Config, ConfigError, Kafka, Service, Site, Store
from streams.generation import TOPIC, StepIdentity, build, claim
from streams.handover.handover import Front, Handover, place_of
from streams.handover.member import Membership
from streams.health import Health, HealthPort
from streams.kafka_log import KafkaLog
from streams.log import Log, LogAway, LogRefused, OffsetOutOfRange
from streams.objects import ObjectStore, StoreAway
from streams.s3 import S3Store
from streams.schema_ids import read_ids
from streams.step import TopicChanged
from streams.stop import Stop
from streams.wire import SchemaIds, UnknownSchema

STOPPED, UNPLANNED = 3, 4
_WAIT_S, _WAIT_S_MAX = 0.25, 5.0
_GARBAGE_MIN = 20_000
# Any port: the parent hands it down.
_BEHIND_A_PARENT = ("127.0.0.1", 0)

S = TypeVar("S", bound=Service)
T = TypeVar("T")


@dataclass(frozen=True)
class Context:
    """What a service is handed. Its loop calls `health.beat()` and ends soon after `stopping` is set.

    A service with ports for others opens them by `handover`.
    """

    name: str
    config: Config
    site: Site
    log: Log
    store: ObjectStore
    ids: SchemaIds
    clock: Clock = field(default_factory=SystemClock)
    stopping: threading.Event = field(default_factory=threading.Event)
    health: Health = field(default_factory=lambda: Health(SystemClock()))
    handover: Handover = field(default_factory=lambda: Handover(threading.Event()))

    @property
    def source(self) -> str:
        """The CloudEvents source of what this service emits."""
        return source_of(self.site, self.name)


def source_of(site: Site, name: str) -> str:
    return f"radstream/{site.tenant}/{site.site}/{name}"


def run(
    name: str,
    kind: type[S],
    main: Callable[[Context, S], None],
    check: Callable[[Config, S], None] | None = None,
    *,
    waits: bool = True,
    front: Callable[[Config, S], Front] | None = None,
) -> None:
    """Runs `main` with the section [name] of the configuration, once log and store answer. Exits the process.

    `check` comes first, and raises ConfigError for files that the section names and that cannot be used. Without
    `waits`, `main` starts at once, waits itself for what it needs, and says itself that it has started. With `front`,
    it takes over from an older process of the same front and goes through the steps of `context.handover`.
    """
    parser = argparse.ArgumentParser(prog=f"radstream {name}")
    parser.add_argument("--config", type=Path, help=f"configuration file; else ${configuration.ENVIRONMENT}")
    # A process that a parent of the same service starts (`streams.handover.crew`): the connection to it.
    parser.add_argument("--join", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    # At once: what goes wrong before the configuration is read is not to be printed with its text either.
    logs.configure(name)
    sys.exit(_guarded(name, lambda: _run(name, kind, main, check, asked, waits, front)))


def _guarded(name: str, body: Callable[[], None]) -> int:
    """What ended the service, as an exit code and one line for a person. Logs are set up by then."""
    log = structlog.get_logger()
    try:
        body()
    except ConfigError as error:
        print(f"radstream {name}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except (Stop, OffsetOutOfRange, UnknownSchema, TopicChanged, LogRefused) as error:
        reason = reason_of(error)
        log.error("service_stopped", kind=type(error).__name__, reason=reason)
        print(f"radstream {name}: stopped: {reason}", file=sys.stderr)  # noqa: T201
        return STOPPED
    except Exception:
        # The last resort of a process: type and place are said, the text never.
        log.error("service_failed", exc_info=True)
        return UNPLANNED
    log.info("service_ended")
    return 0


def reason_of(error: Exception) -> str:
    """The reason of a stop. The texts of these exceptions are our own: topics, offsets, versions."""
    return error.reason if isinstance(error, Stop) else f"{type(error).__name__}: {error}"


def _run(
    name: str,
    kind: type[S],
    main: Callable[[Context, S], None],
    check: Callable[[Config, S], None] | None,
    asked: argparse.Namespace,
    waits: bool,
    front: Callable[[Config, S], Front] | None,
) -> None:
    config = configuration.load(asked.config)
    settings = config.section(name, kind)
    logs.configure(name, settings.log_level)
    if check is not None:
        check(config, settings)
    metrics.BUILD.labels(name, build()).set(1)
    stopping = threading.Event()
    handover = _handover(name, config, None if front is None else front(config, settings), asked.join, stopping)
    context = _context(name, config, handover, stopping)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: context.stopping.set())
    address = (settings.http_host, settings.http_port) if asked.join is None else _BEHIND_A_PARENT
    http = HealthPort(context.health, *address, handover.ports)
    with closing(http), closing(handover):
        handover.begin(http)
        structlog.get_logger().info("service_starting", build=build(), http_port=http.number)
        spare_the_collector()
        if not waits:
            main(context, settings)
        elif wait_for_parts(context):
            context.health.ready("started", True)
            main(context, settings)


def spare_the_collector() -> None:
    """What is loaded stays: it is not looked through again and again. Garbage in cycles is rare here."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_MIN, 20, 50)


def _handover(name: str, config: Config, front: Front | None, join: int | None, stopping: threading.Event) -> Handover:
    if join is not None:
        return Membership(stopping, join)
    return Handover(stopping, place_of(config, name, front), {} if front is None else front.facts)


def _context(name: str, config: Config, handover: Handover, stopping: threading.Event) -> Context:
    kafka = config.section("kafka", Kafka)
    return Context(
        name=name,
        config=config,
        site=config.section("site", Site),
        log=KafkaLog(kafka),
        store=S3Store(config.section("store", Store)),
        ids=read_ids(kafka.schema_ids) if kafka.schema_ids else SchemaIds(),
        stopping=stopping,
        handover=handover,
    )


def wait_for_parts(context: Context) -> bool:
    """Waits until log and store answer, and says so; False where the service is to stop before they do."""
    if _wait(context, "log", lambda: context.log.topic_id(TOPIC), LogAway) is None:
        return False
    probe = f"{context.site.tenant}/checkpoints/none/"
    return _wait(context, "store", lambda: list(islice(context.store.keys("hot", probe), 1)), StoreAway) is not None


def claimed(
    context: Context, *, step: str, code_version: int, config_digest: str, models: tuple[str, ...] = ()
) -> StepIdentity | None:
    """The step's identity (`streams.generation.claim`), waiting for the log; None where the service is to stop first.

    A log that has just answered may be away again: a broker that starts has no leaders for a moment.
    """

    def ask() -> StepIdentity:
        return claim(
            context.log,
            context.ids,
            context.site,
            context.clock,
            step=step,
            code_version=code_version,
            config_digest=config_digest,
            models=models,
        )

    return _wait(context, "log", ask, LogAway)


def _wait(context: Context, part: str, ask: Callable[[], T], away: type[Exception]) -> T | None:
    """The answer of a part, or None where the service is to stop before there is one."""
    delay_s = _WAIT_S
    while not context.stopping.is_set():
        try:
            answer = ask()
        except away:
            context.health.ready(part, False, f"the {part} does not answer; waiting for it")
            structlog.get_logger().warning("waiting", part=part, again_s=delay_s)
            context.stopping.wait(delay_s)
            delay_s = min(2 * delay_s, _WAIT_S_MAX)
        else:
            context.health.ready(part, True)
            return answer
    return None

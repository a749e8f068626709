"""Apache Kafka in KRaft mode: each broker is a controller too. The one place where brokers are set."""

from __future__ import annotations

import logging
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra.local import ports, process
from infra.local.parts.part import Site
from infra.local.process import Launch
from infra.local.tools import java

LOG4J = Path(__file__).with_name("kafka-log4j2.properties")
# Two cores and small heaps: the serial collector costs least. The other two quiet what Java 25 says of Kafka's use of
# sun.misc.Unsafe and of its compression libraries.
JVM = (
    "-Xms64m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "--sun-misc-unsafe-memory-access=allow",
    "--enable-native-access=ALL-UNNAMED",
    "-Djava.awt.headless=true",
)

_SILENT = logging.Logger("infra.local.kafka")
_SILENT.addHandler(logging.NullHandler())


def names(brokers: int) -> tuple[str, ...]:
    return tuple("kafka" if number == 1 else f"kafka-{number}" for number in range(1, brokers + 1))


def bootstrap(state_ports: Mapping[str, int], brokers: int) -> str:
    return ",".join(f"{ports.HOST}:{state_ports[name]}" for name in names(brokers))


class Broker:
    stop_signal = signal.SIGTERM
    start_s_max = 300.0
    stop_s_max = 30.0

    def __init__(self, site: Site, number: int) -> None:
        self._site = site
        self._number = number
        self.name = names(number)[-1]
        self._port = site.state.ports[self.name]
        self._controller = site.state.ports[f"{self.name}-controller"]

    @property
    def ports(self) -> Sequence[int]:
        return (self._port, self._controller)

    @property
    def waits_for(self) -> str:
        return f"the broker on {ports.HOST}:{self._port}"

    def prepare(self) -> None:
        folder = self._site.data(self.name)
        text = "".join(f"{name}={_escaped(value)}\n" for name, value in self._settings(folder).items())
        (folder / "server.properties").write_text(text, encoding="ascii")
        if (folder / "log" / "meta.properties").exists():
            return
        state = self._site.state
        quorum = ["--standalone"] if state.brokers == 1 else ["--initial-controllers", ",".join(self._voters())]
        options = ("format", "--ignore-formatted", "--cluster-id", state.cluster, "--config", self._file, *quorum)
        argv = [*self._java("-XX:TieredStopAtLevel=1"), "kafka.tools.StorageTool", *options]
        process.run(argv, f"formatting the log of {self.name}", java.ENVIRONMENT)

    def launch(self) -> Launch:
        return Launch([*self._java(), "kafka.Kafka", self._file], java.ENVIRONMENT)

    def ready(self) -> bool:
        if not ports.is_listening(self._port):
            return False
        try:
            cluster = admin(f"{ports.HOST}:{self._port}").list_topics(timeout=5)
        except KafkaException:
            return False
        return self._number in cluster.brokers

    @property
    def _file(self) -> str:
        return str(self._site.data(self.name) / "server.properties")

    def _java(self, *more: str) -> list[str]:
        jars = java.kafka_jars(self._site.say)
        logging = f"-Dlog4j2.configurationFile={LOG4J}"
        return [str(java.java()), *JVM, *more, logging, "-cp", f"{jars}/*"]

    def _voters(self) -> list[str]:
        """`id@host:port:directory`, as KIP-853 writes the first voters of a quorum."""
        state = self._site.state
        listed = zip(names(state.brokers), state.directories, strict=True)
        return [
            f"{number}@{ports.HOST}:{state.ports[f'{name}-controller']}:{directory}"
            for number, (name, directory) in enumerate(listed, start=1)
        ]

    def _settings(self, folder: Path) -> dict[str, str]:
        state = self._site.state
        controllers = [f"{ports.HOST}:{state.ports[f'{name}-controller']}" for name in names(state.brokers)]
        return {
            "process.roles": "broker,controller",
            "node.id": str(self._number),
            "controller.quorum.bootstrap.servers": ",".join(controllers),
            "listeners": f"CLIENTS://{ports.HOST}:{self._port},CONTROLLER://{ports.HOST}:{self._controller}",
            "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "CLIENTS",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(folder / "log"),
            **settings(state.brokers),
        }


def settings(brokers: int) -> dict[str, str]:
    """What is the same wherever the brokers run. Addresses and folders are the caller's."""
    copies = min(brokers, 3)
    return {
        # Topics come from topics.yaml and from nowhere else.
        "auto.create.topics.enable": "false",
        "default.replication.factor": str(copies),
        "min.insync.replicas": str(max(1, copies - 1)),
        "offsets.topic.replication.factor": str(copies),
        "offsets.topic.num.partitions": "6",
        # Kafka forgets after seven days where a group was that nobody reads in. A destination that was out of the rules
        # for so long would begin at the end of the log, and not be sent what came meanwhile (docs/decisions/0030).
        "offsets.retention.minutes": "2147483647",
        "transaction.state.log.replication.factor": str(copies),
        "transaction.state.log.min.isr": str(max(1, copies - 1)),
        "share.coordinator.state.topic.replication.factor": str(copies),
        "share.coordinator.state.topic.min.isr": str(max(1, copies - 1)),
        # KIP-848. A killed member's partitions move on after ten seconds; Kafka's own 45 are for wide networks.
        "group.consumer.session.timeout.ms": "10000",
        "group.consumer.min.session.timeout.ms": "6000",
        "group.consumer.heartbeat.interval.ms": "2000",
        "group.consumer.min.heartbeat.interval.ms": "1000",
        "group.initial.rebalance.delay.ms": "0",
        # Two cores.
        "num.network.threads": "2",
        "num.io.threads": "4",
        "num.replica.fetchers": "1",
        "num.recovery.threads.per.data.dir": "2",
        "background.threads": "2",
        "log.cleaner.threads": "1",
        "log.cleaner.dedupe.buffer.size": "16777216",
        # A broker that starts waits for its next heartbeat before it serves.
        "broker.heartbeat.interval.ms": "500",
        # A broker that starts ends itself where the controller has not taken it by then. Kafka's own minute is short
        # where three brokers and all services start on two cores; and after a kill the old session has to end first.
        "initial.broker.registration.timeout.ms": "240000",
        # With Kafka's two seconds controllers that share a busy disk take each other for dead, and without a quorum no
        # broker is taken at all.
        "controller.quorum.fetch.timeout.ms": "8000",
        "controller.quorum.request.timeout.ms": "6000",
    }


def admin(servers: str) -> AdminClient:
    """An administration client that keeps librdkafka's connection errors to itself: the caller reports."""
    client: dict[str, str | int | float | bool] = {"bootstrap.servers": servers, "log_level": 0}
    return AdminClient(client, logger=_SILENT)


def _escaped(value: str) -> str:
    """A value of a Java properties file: ISO 8859-1, all else as UTF-16 code units."""
    units = value.encode("utf-16-be")
    codes = [int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2)]
    return "".join(chr(code) if code < 0x80 else f"\\u{code:04x}" for code in codes)

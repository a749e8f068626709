"""Apicurio Registry, with its storage in an H2 file."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from infra.local import durable, ports
from infra.local.parts.part import Site, get_status
from infra.local.process import Launch
from infra.local.tools import java

# Starts in 3 s with the first compiler alone; it is asked a few times a day.
JVM = ("-Xms32m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "--sun-misc-unsafe-memory-access=allow")
API = "/apis/ccompat/v7"


def url(port: int) -> str:
    return f"http://{ports.HOST}:{port}{API}"


class Registry:
    name = "registry"
    stop_signal = signal.SIGTERM
    start_s_max = 300.0
    stop_s_max = 20.0

    def __init__(self, site: Site) -> None:
        self._site = site
        self._port = site.state.ports["registry"]
        self._management = site.state.ports["registry-management"]

    @property
    def ports(self) -> Sequence[int]:
        return (self._port, self._management)

    @property
    def waits_for(self) -> str:
        return f"its health on {ports.HOST}:{self._management}"

    def prepare(self) -> None:
        # Ids of schemas are in every record: H2 does not fsync what it commits, so the folder does it.
        durable.make_synchronous(self._site.data(self.name))

    def launch(self) -> Launch:
        file = self._site.data(self.name) / "registry"
        settings = {
            "quarkus.http.host": ports.HOST,
            "quarkus.http.port": self._port,
            "quarkus.http.access-log.enabled": "false",
            # It listens on every interface unless told otherwise.
            "quarkus.management.host": ports.HOST,
            "quarkus.management.port": self._management,
            "apicurio.storage.kind": "sql",
            "apicurio.storage.sql.kind": "h2",
            # WRITE_DELAY=0: a commit is written at once; DB_CLOSE_ON_EXIT=FALSE: Quarkus closes the pool itself.
            "apicurio.datasource.url": f"jdbc:h2:file:{file};WRITE_DELAY=0;DB_CLOSE_ON_EXIT=FALSE",
        }
        options = [f"-D{name}={value}" for name, value in settings.items()]
        jar = java.registry(self._site.say) / "quarkus-run.jar"
        return Launch([str(java.java()), *JVM, *options, "-jar", str(jar)], java.ENVIRONMENT)

    def ready(self) -> bool:
        return get_status(f"http://{ports.HOST}:{self._management}/health/ready") == 200

"""What a service says of itself over HTTP, on loopback: /metrics, /healthz and /readyz.

/healthz fails when the main loop has not beaten for a while: restart the process. /readyz fails while something it
needs is away, and says what: wait. Its warnings are for a person to look at; they do not make it fail. It says
also which process answers: while a newer one takes over, there are two.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler

import structlog
from prometheus_client import REGISTRY, CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from streams import metrics
from streams.clock import Clock
from streams.generation import build
from streams.ports import Port, Ports

# Longer than any wait that is part of the normal life of a loop: a rebalance, a step at its time limit.
SILENCE_S_MAX = 120.0

StartResponse = Callable[[str, list[tuple[str, str]]], object]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class Health:
    """Told by the service, asked over HTTP. Used from any thread. `registry` is what /metrics shows."""

    def __init__(self, clock: Clock, silence_s_max: float = SILENCE_S_MAX) -> None:
        self.registry: CollectorRegistry = REGISTRY
        self._clock = clock
        self._silence_s_max = silence_s_max
        self._lock = threading.Lock()
        self._checks: dict[str, str | None] = {"started": "still starting"}
        self._warnings: dict[str, str] = {}
        self._beat: float | None = None

    def ready(self, name: str, ok: bool, why: str = "") -> None:
        """Notes how a check stands; `why` says what is wrong, for a person, without patient data."""
        with self._lock:
            self._checks[name] = None if ok else why or "no reason given"
        metrics.CHECK_FAILING.labels(name).set(0 if ok else 1)

    def warn(self, name: str, what: str) -> None:
        """Notes what a person should look at, while the service does its work; an empty text takes it back."""
        with self._lock:
            self._warnings.pop(name, None)
            if what:
                self._warnings[name] = what
        metrics.CHECK_WARNING.labels(name).set(1 if what else 0)

    def beat(self) -> None:
        """The main loop goes round. A service whose loop has not begun is alive."""
        self._beat = self._clock.monotonic()

    def failing(self) -> Mapping[str, str]:
        """The checks that fail, with their reasons; empty when ready."""
        with self._lock:
            return {name: why for name, why in self._checks.items() if why is not None}

    def warnings(self) -> Mapping[str, str]:
        """What a person should look at, by check."""
        with self._lock:
            return dict(self._warnings)

    def silence_s(self) -> float | None:
        """Seconds since the last beat, or None before the first."""
        return None if self._beat is None else self._clock.monotonic() - self._beat

    @property
    def alive(self) -> bool:
        silence = self.silence_s()
        return silence is None or silence <= self._silence_s_max


class HealthServer:
    """Serves on an open port, from construction to `close`."""

    def __init__(self, health: Health, port: Port) -> None:
        self._port = port
        self._server = _Server(port)
        self._server.set_app(application(health))
        port.start(self._take)

    @property
    def port(self) -> int:
        return self._port.number

    def close(self) -> None:
        self._port.close()
        self._server.server_close()

    def _take(self, connected: socket.socket, address: Any) -> None:
        try:
            self._server.process_request(connected, address)
        except RuntimeError:
            structlog.get_logger().error("no_thread_for_a_connection")
            self._server.shutdown_request(connected)


class HealthPort:
    """A server on a port of `ports`, which may be another process's first: opened, and started when it is ours."""

    def __init__(self, health: Health, host: str, number: int, ports: Ports) -> None:
        self._health = health
        self._host = host
        self._number = number
        self._ports = ports
        self._port: Port | None = None
        self._server: HealthServer | None = None

    @property
    def number(self) -> int:
        """The port's; what was asked for until it is open."""
        return self._number if self._port is None else self._port.number

    def open(self) -> None:
        """Raises ConfigError where the port cannot be had."""
        self._port = self._ports.open("http", self._host, self._number, setting="http_port")

    def start(self) -> None:
        if self._port is not None:
            self._server = HealthServer(self._health, self._port)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()


class _Server(ThreadingWSGIServer):
    """Without a socket of its own: it is given connections."""

    def __init__(self, port: Port) -> None:
        self._about = port.offered
        super().__init__((self._about.address, self._about.number), _Quiet, bind_and_activate=False)
        self.server_name, self.server_port = self._about.address, self._about.number
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        structlog.get_logger().warning("http_request_failed", exc_info=True)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Requests for metrics and health are not worth a line each."""


def serve(health: Health, host: str, port: int) -> HealthServer:
    """Starts serving in threads; port 0 takes a free one. Raises ConfigError where the port cannot be had."""
    return HealthServer(health, Ports().open("http", host, port, setting="http_port"))


def application(health: Health) -> Application:
    """The WSGI application (PEP 3333)."""

    def answer(environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/metrics":
                exposition: Application = make_wsgi_app(health.registry)
                return exposition(environ, start)
            case "/healthz":
                return _json(start, health.alive, {"alive": health.alive, "silence_s": health.silence_s()})
            case "/readyz":
                failing = health.failing()
                said = {"ready": not failing, "failing": failing, "warnings": health.warnings()}
                return _json(start, not failing, {**said, "pid": os.getpid(), "version": build()})
        start("404 Not Found", [("Content-Type", "text/plain")])
        return [b"/metrics, /healthz or /readyz\n"]

    return answer


def _json(start: StartResponse, ok: bool, body: Mapping[str, object]) -> Iterable[bytes]:
    start("200 OK" if ok else "503 Service Unavailable", [("Content-Type", "application/json")])
    return [json.dumps(body).encode() + b"\n"]

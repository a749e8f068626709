"""uvicorn in the main thread of a service: it begins when the parts answer, and ends as the service is told to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
import uvloop
from starlette.applications import Starlette

from gateway.config import Settings
from gateway.connections import Connection
from streams.config import ConfigError
from streams.service import Context

_BEAT_S = 0.5
_BACKLOG = 1024


class _Server(uvicorn.Server):
    """Signals are the service's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listening(settings: Settings) -> socket.socket:
    """Raises ConfigError for a port that cannot be had."""
    try:
        return socket.create_server((settings.host, settings.port), backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"[gateway] {settings.host}:{settings.port} cannot be listened on ({error.strerror}): "
            "stop what uses it, or set another port"
        ) from None


def serve(app: Starlette, port: socket.socket, settings: Settings, context: Context) -> None:
    """Answers until `context.stopping` is set; requests under way then have `stop_timeout_s`."""
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        log_config=None,
        access_log=False,
        # Its tracebacks hold what was asked for; ours are logged before (gateway/problem.py).
        log_level="critical",
        server_header=False,
        # Who asks is who is connected. uvicorn would else believe what a program of this machine says of itself.
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies),
        timeout_keep_alive=settings.idle_timeout_s,
        timeout_graceful_shutdown=max(1, round(settings.stop_timeout_s)),
    )
    server = _Server(config)

    async def run() -> None:
        beating = asyncio.create_task(_beat(server, context))
        await server.serve(sockets=[port])
        beating.cancel()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


async def _beat(server: uvicorn.Server, context: Context) -> None:
    while not context.stopping.is_set():
        context.health.beat()
        await asyncio.sleep(_BEAT_S)
    server.should_exit = True

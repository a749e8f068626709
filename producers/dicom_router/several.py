"""A router of several processes: the parent, which opens their ports and takes no connection (docs/decisions/0057)."""

from __future__ import annotations

import structlog

from producers.dicom_router.config import Settings
from streams.handover.crew import Crew, State
from streams.handover.crew_health import CrewHealth
from streams.ports import Port, Ports
from streams.service import Context

_BEAT_S = 1.0
# Beyond what associations and commits may take: for the spool's drain, the last audit events, and the producer.
_END_S_MAX = 20.0


def lead(context: Context, settings: Settings) -> None:
    """Until `context.stopping` is set. Raises ConfigError for a port that cannot be had, and where no process gets as
    far as to serve; Stop as the handover does."""
    handover, stopping = context.handover, context.stopping
    crew = Crew(settings.processes, handover.ports)
    health = CrewHealth(crew, context.health)
    opened: list[Port] = []
    try:
        crew.start()
        if not crew.reached(State.ASKED, stopping, health.look) or not handover.ask():
            return
        opened = ports_of(settings, handover.ports)
        crew.offer()
        # From here on somebody may wait for us: who serves, and in the end who connects.
        if not crew.reached(State.READY, stopping):
            return
        handover.take()
        crew.resume()
        if not crew.reached(State.SERVING, stopping):
            return
        context.health.ready("started", True)
        handover.serving()
        structlog.get_logger().info("listening", ports=[port.number for port in opened], processes=settings.processes)
        while not stopping.wait(_BEAT_S):
            health.look()
    finally:
        for port in opened:
            port.close()
        handover.close()
        crew.stop(settings.stop_timeout_s + settings.commit_timeout_s + _END_S_MAX, gently=handover.done)


def ports_of(settings: Settings, ports: Ports) -> list[Port]:
    """All that the processes take connections of, open. Raises ConfigError."""
    wanted = [("dicom", settings.host, settings.port, "router")]
    if settings.tls is not None:
        wanted.append(("dicom-tls", settings.host, settings.tls.port, "router.tls"))
    if settings.stow is not None:
        wanted.append(("stow", settings.stow.host, settings.stow.port, "router.stow"))
    return [ports.open(name, host, number, section=section) for name, host, number, section in wanted]

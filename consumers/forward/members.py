"""The members of the service: a runner for each destination, and one for tags and holds.

Each has a consumer, threads and associations of its own, so a node that is down, full, slow or silent keeps nobody from
theirs. One that stops (too many dead letters) leaves the others running.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import structlog

from consumers.forward.beginning import begin_now
from streams import metrics
from streams.clock import Clock
from streams.generation import StepIdentity
from streams.health import Health
from streams.log import LogAway, LogRefused, OffsetOutOfRange
from streams.runner import Runner
from streams.runner_settings import RunnerSettings
from streams.service import Context, reason_of
from streams.step import Step, TopicChanged
from streams.stop import Stop

_AGAIN_S = 1.0
_WATCH_S = 1.0


class _HealthOf(Health):
    """What one member says. The service is ready while it can read the log, whatever state the nodes are in."""

    def __init__(self, clock: Clock, group: str, service: Health) -> None:
        super().__init__(clock)
        self._group = group
        self._service = service

    def ready(self, name: str, ok: bool, why: str = "") -> None:
        metrics.CHECK_FAILING.labels(f"{name} of {self._group}").set(0 if ok else 1)
        if name != "step":
            self._service.ready(f"{name} of {self._group}", ok, why)


class Member:
    """Runs one step in a thread. `rest` is called once in a while beside it."""

    def __init__(
        self,
        context: Context,
        step: Step,  # type: ignore[type-arg]
        identity: StepIdentity,
        settings: RunnerSettings,
        rest: Callable[[], None] = lambda: None,
        *,
        in_order: bool = False,
    ) -> None:
        self.group = step.name
        self._service = context.health
        self._health = _HealthOf(context.clock, self.group, context.health)
        self._context = replace(context, health=self._health)
        self._runner = Runner(self._context, step, identity, settings, in_order=in_order)
        self._rest = rest
        self._begun = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=f"{self.group}-{work.__name__.strip('_')}", daemon=True)
            for work in (self._run, self._tend)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wait_until_begun(self) -> None:
        """Until its group has a place to begin at, or it has ended without one."""
        self._begun.wait()

    def join(self) -> None:
        """Returns when its runner has ended: within the deadline that bounds a SIGTERM."""
        self._threads[0].join()

    @property
    def is_running(self) -> bool:
        return self._threads[0].is_alive()

    @property
    def is_alive(self) -> bool:
        """Its loop goes round, or it has stopped and said so."""
        return self._health.alive or not self.is_running

    def _run(self) -> None:
        try:
            if self._begin():
                self._begun.set()
                self._runner.run()
        except (Stop, OffsetOutOfRange, TopicChanged, LogRefused) as error:
            self._stopped(reason_of(error))
        except Exception:  # noqa: BLE001 - said, and the other members go on
            structlog.get_logger().error("member_failed", group=self.group, exc_info=True)
            self._stopped("a fault that nobody planned for; the log of the service says where")
        finally:
            self._begun.set()

    def _begin(self) -> bool:
        """False where the service is to stop first."""
        while not self._context.stopping.is_set():
            try:
                begin_now(self._context.log, self.group)
            except LogAway:
                self._health.ready("log", False, "the log does not answer; waiting for it")
                self._context.stopping.wait(_AGAIN_S)
            else:
                self._health.ready("log", True)
                return True
        return False

    def _stopped(self, reason: str) -> None:
        structlog.get_logger().error("member_stopped", group=self.group, reason=reason)
        self._service.ready(self.group, False, f"stopped: {reason}")

    def _tend(self) -> None:
        while not self._context.stopping.wait(_WATCH_S):
            with suppress(OSError):
                self._rest()


def run_all(context: Context, members: list[Member], look: Callable[[], None] = lambda: None) -> None:
    """Until the service is to stop; looks about once a second. Raises Stop where every member stopped by itself."""
    for member in members:
        member.start()
    for member in members:
        member.wait_until_begun()
    context.health.ready("started", True)
    while not context.stopping.is_set():
        if all(member.is_alive for member in members):
            context.health.beat()
        if not any(member.is_running for member in members):
            raise Stop("every group of this service has stopped; their reasons are in its log")
        look()
        context.stopping.wait(_WATCH_S)
    for member in members:
        member.join()

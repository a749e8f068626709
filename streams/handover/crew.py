"""The processes of a service that has several: a parent starts them, offers each the sockets, starts again what dies.

Each is a process of its own with the parent's command line (`--join`), and takes connections from the same queues as
the others (`member` is its side). The parent takes none, so it has little that can fail; where it is gone, they end.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from enum import IntEnum
from typing import Final

import structlog

from streams.backoff import Backoff
from streams.config import ConfigError
from streams.generation import build
from streams.handover import shares
from streams.handover.messages import (
    SPEAKS,
    Ask,
    Broken,
    Channel,
    Done,
    Join,
    Leave,
    Offer,
    Pause,
    Paused,
    Ready,
    Resume,
    Serving,
    Yours,
)
from streams.ports import Ports
from streams.stop import Stop

_HOST: Final = "127.0.0.1"
# A member has everything ready when it is to pause: it waits for nobody.
_PAUSED_S_MAX: Final = 5.0
_AGAIN: Final = Backoff(first_s=0.1, max_s=30.0)
# Who served for so long, and died, is started again at once.
_SERVED_S_MIN: Final = 60.0
_LOOK_S: Final = 0.25
_UNUSABLE: Final = 1
SAID_ABOVE: Final = "one of its processes ended before it served; what it said stands above"


class State(IntEnum):
    """How far a member is."""

    STARTING = 0
    ASKED = 1
    READY = 2
    SERVING = 3


class Crew:
    """Used by the parent's main thread; `pause` and `resume` by any (`streams.ports.Shared`).

    `ports` are the parent's, open and never started. Raises OSError.
    """

    def __init__(self, count: int, ports: Ports) -> None:
        self.ports = ports
        self.changed = threading.Condition()
        self.offered = self.taking = self._took = False
        self.ending = threading.Event()
        self._shares = shares.create(count)
        self._failed: int | None = None
        ports.share(self)
        self.members = tuple(Member(number, count, self) for number in range(1, count + 1))

    def start(self) -> None:
        for member in self.members:
            member.start()

    def reached(self, state: State, stopping: threading.Event, meanwhile: Callable[[], None] | None = None) -> bool:
        """Waits until all members are so far; False where the service is to stop before.

        Raises ConfigError, Stop where a member ended by itself before it served: the next would, too.
        """
        while not stopping.is_set():
            if meanwhile is not None:
                meanwhile()
            with self.changed:
                if self.changed.wait_for(lambda: self._all(state) or self._failed is not None, _LOOK_S):
                    self._raise_failure()
                    return True
        return False

    def offer(self) -> None:
        """The sockets of the parent's ports go to all members, and to those that are started later."""
        with self.changed:
            self.offered = True
            self.changed.notify_all()

    def resume(self) -> None:
        """Connections are taken from now on, also by members that are started later."""
        with self.changed:
            self.taking = self._took = True
            self.changed.notify_all()
        for member in self.members:
            member.resume()

    def pause(self) -> None:
        """Raises Broken where a member does not say in time that it takes none any more."""
        with self.changed:
            self.taking = False
        asked = [member for member in self.members if member.asked_to_pause()]
        for member in asked:
            member.pauses()

    def stop(self, seconds_max: float, *, gently: bool) -> None:
        """Ends all, `gently` where another process serves by now; kills what has not ended after so long."""
        with self.changed:
            self.ending.set()
            self.changed.notify_all()
        for member in self.members:
            member.end(gently=gently)
        deadline = time.monotonic() + seconds_max
        for member in self.members:
            member.ended(max(deadline - time.monotonic(), 0.0))
        os.close(self._shares)

    def share(self, number: int) -> int:
        """The file of shares, with nothing in it of a member that is to be started, or is gone."""
        shares.clear(self._shares, number)
        return self._shares

    def failed(self, code: int) -> bool:
        """Whether nothing comes of this start: a member ended before it served, with such a code, and nobody ever did.

        One that was killed is started again.
        """
        with self.changed:
            if code > 0 and not self._took:
                self._failed = code
                self.changed.notify_all()
            return self._failed is not None

    def _all(self, state: State) -> bool:
        return all(member.state >= state for member in self.members)

    def _raise_failure(self) -> None:
        if self._failed is not None:
            raise ConfigError(SAID_ABOVE) if self._failed == _UNUSABLE else Stop(SAID_ABOVE)


class Member:
    """One of them, started again and again. `state` is of the process that runs now, `port` where it says how it is."""

    def __init__(self, number: int, count: int, crew: Crew) -> None:
        self.number = number
        self.state = State.STARTING
        self.port: int | None = None
        self._count = count
        self._crew = crew
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._took = False
        self._paused = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"member-{number}", daemon=True)

    @property
    def pid(self) -> int | None:
        process = self._process
        return None if process is None else process.pid

    def start(self) -> None:
        self._thread.start()

    def asked_to_pause(self) -> bool:
        """Whether it was taking connections. Raises Broken."""
        crew = self._crew
        with crew.changed:
            # Between the two it does not listen to anything else.
            if not crew.changed.wait_for(lambda: not self._took or self.state is State.SERVING, _PAUSED_S_MAX):
                raise Broken(f"process {self.number} does not serve")
            if self._took:
                self._paused.clear()
                self._say(Pause())
            return self._took

    def pauses(self) -> None:
        """Returns when it takes none any more. Raises Broken."""
        if not self._paused.wait(_PAUSED_S_MAX):
            raise Broken(f"process {self.number} does not pause")

    def resume(self) -> None:
        with self._crew.changed:
            if self._took and self.state is State.SERVING:
                self._say(Resume())

    def end(self, *, gently: bool) -> None:
        with self._lock:
            process, channel, served = self._process, self._channel, self.state is State.SERVING
        if process is None or channel is None:
            return
        if gently and served:
            self._say(Leave())
        else:
            with suppress(ProcessLookupError):
                process.terminate()
            if not served:
                channel.close()

    def ended(self, seconds_max: float) -> None:
        self._thread.join(seconds_max)
        if self._thread.is_alive() and (process := self._process) is not None:
            structlog.get_logger().error("process_killed", process=self.number, pid=process.pid)
            process.kill()
            self._thread.join()

    def _run(self) -> None:
        log, failures = structlog.get_logger(), 0
        while not self._crew.ending.is_set():
            began = time.monotonic()
            try:
                code = self._once()
            except OSError as error:
                log.error("process_not_started", process=self.number, error=error, errno=error.errno)
                code = None
            served = self._is(State.STARTING) is State.SERVING
            if self._crew.ending.is_set():
                return
            log.error("process_ended", process=self.number, code=code)
            if code is not None and not served and self._crew.failed(code):
                return
            failures = 1 if served and time.monotonic() - began > _SERVED_S_MIN else failures + 1
            with self._crew.changed:
                self._crew.changed.wait_for(self._crew.ending.is_set, _AGAIN.delay_s(failures - 1))

    def _once(self) -> int:
        """The life of one process: its exit code. Raises OSError."""
        crew = self._crew
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with closing(Channel(ours)) as channel:
            with theirs, closing(Ports().open("http", _HOST, 0)) as http:
                descriptor = theirs.fileno()
                command = [sys.executable, *sys.orig_argv[1:], "--join", str(descriptor)]
                process = subprocess.Popen(command, pass_fds=[descriptor])
                with self._lock:
                    self._process, self._channel, self.port = process, channel, http.number
                with suppress(Broken):
                    join = Join(number=self.number, count=self._count, http=http.offered)
                    channel.say(join, [http.descriptor, crew.share(self.number)])
            structlog.get_logger().info("process_started", process=self.number, pid=process.pid)
            if crew.ending.is_set():
                self.end(gently=False)
            with suppress(Broken):
                self._talk(channel)
            with crew.changed:
                self._took = False
                crew.changed.notify_all()
            self._paused.set()
            code = process.wait()
            # At once: it may be long until it is started again, and its port may be somebody else's by then.
            self.port = None
            crew.share(self.number)
            return code

    def _talk(self, channel: Channel) -> None:
        """Until the process is gone: raises Broken then."""
        crew = self._crew
        channel.hear(Ask, seconds=None)
        self._is(State.ASKED)
        self._wait(lambda: crew.offered)
        ports = [port for port in crew.ports.open_now() if port.offered.name != "http"]
        offer = Offer(speaks=max(SPEAKS), build=build(), pid=os.getpid(), sockets=tuple(one.offered for one in ports))
        channel.say(offer, [port.descriptor for port in ports])
        channel.hear(Ready, seconds=None)
        self._is(State.READY)
        with crew.changed:
            crew.changed.wait_for(lambda: crew.taking or crew.ending.is_set())
            channel.say(Yours())
            self._took = True
        channel.hear(Serving, seconds=None)
        channel.say(Done())
        self._is(State.SERVING)
        while True:
            channel.hear(Paused, seconds=None)
            self._paused.set()

    def _wait(self, condition: Callable[[], bool]) -> None:
        with self._crew.changed:
            self._crew.changed.wait_for(lambda: condition() or self._crew.ending.is_set())

    def _is(self, state: State) -> State:
        """The state before."""
        with self._crew.changed:
            before, self.state = self.state, state
            self._crew.changed.notify_all()
            return before

    def _say(self, message: Leave | Pause | Resume) -> None:
        channel = self._channel
        if channel is not None:
            with suppress(Broken):
                channel.say(message)

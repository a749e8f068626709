"""Listening sockets, and the thread that takes the connections of each.

They are not blocking: while one process takes over from another, both hold the same socket, and a connection that one
saw coming may be the other's. A socket that others may hold too is only closed, never shut: that would end theirs.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import structlog

from streams.config import ConfigError
from streams.handover.messages import Offered
from streams.repeated import Repeated

Take = Callable[[socket.socket, Any], None]

# Over it the kernel drops who connects, and a good peer tries again after a second. It is what Linux lets wait itself
# (net.core.somaxconn); of a flood, thousands a second are taken off.
_BACKLOG: Final = 4096
_PAUSE_S: Final = 0.1


class Port:
    """Open from construction to `close`; between `start` and `pause` its connections are taken, by a thread of its own.

    Used from any thread. `offered` is what another process is told of it.
    """

    def __init__(self, name: str, host: str, listening: socket.socket) -> None:
        listening.setblocking(False)
        address, number = listening.getsockname()[:2]
        self.offered = Offered(name=name, host=host, address=str(address), number=int(number))
        self._socket = listening
        self._take: Take | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._open = True

    @property
    def number(self) -> int:
        return self.offered.number

    @property
    def descriptor(self) -> int:
        return self._socket.fileno()

    def start(self, take: Take) -> None:
        """`take` gets each connection and its peer's address, and returns soon."""
        self._take = take
        self.resume()

    def pause(self) -> None:
        """Connections wait in the queue of the socket. None is taken any more when this returns."""
        with self._lock:
            self._halt()

    def resume(self) -> None:
        """Goes on, where it was started."""
        with self._lock:
            if self._open and self._take is not None and self._thread is None:
                name = f"port-{self.offered.name}"
                self._thread = threading.Thread(target=self._run, args=(self._take,), name=name, daemon=True)
                self._thread.start()

    def close(self) -> None:
        """What waits in the queue is reset, unless another process has the socket too."""
        with self._lock:
            if self._open:
                self._open = False
                self._halt()
                self._socket.close()
                os.close(self._wake)

    def _halt(self) -> None:
        if self._thread is not None:
            os.eventfd_write(self._wake, 1)
            self._thread.join()
            os.eventfd_read(self._wake)
            self._thread = None

    def _run(self, take: Take) -> None:
        log, poll, repeated = structlog.get_logger(), select.poll(), Repeated()
        poll.register(self._socket, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while all(descriptor != self._wake for descriptor, _ in poll.poll()):
            try:
                connected, address = self._socket.accept()
            except BlockingIOError:
                continue
            except OSError as error:
                # Out of files or memory, or the connection was gone before it was taken.
                if (more := repeated.due(error.errno)) is not None:
                    log.error("connection_not_taken", error=error, errno=error.errno, **more)
                time.sleep(_PAUSE_S)
                continue
            try:
                take(connected, address)
            except Exception:
                # Nobody planned this one. It costs one connection and no other.
                log.error("connection_not_taken", exc_info=True)
                connected.close()


class Shared(Protocol):
    """Processes that take connections of our ports beside us."""

    def pause(self) -> None:
        """None of them takes any more when this returns. Raises Broken where one does not say so."""

    def resume(self) -> None: ...


class Ports:
    """All of a process. Those that were inherited are taken where what is asked for fits, else they are let go."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[Port] = []
        self._shared: Shared | None = None
        self._inherited: list[tuple[Offered, socket.socket]] = []

    def open(self, name: str, host: str, number: int, *, section: str = "", setting: str = "port") -> Port:
        """A port; 0 takes a free one, or the one that was inherited under that name.

        Raises ConfigError where it cannot be had; it names the section and the setting.
        """
        listening = self._fitting(name, host, number)
        port = Port(name, host, listening or _listening(host, number, section, setting, self._replaced(number)))
        with self._lock:
            self._open.append(port)
        return port

    def inherit(self, offered: tuple[Offered, ...], descriptors: list[int]) -> None:
        """Takes over descriptors of sockets that listen; they are this object's to close. Raises OSError.

        What does not listen where it is said to is let go: its number may have changed hands where the other closes.
        """
        self.forget()
        found = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        for one, listening in zip(offered, found, strict=False):
            if _listens(listening, one):
                self._inherited.append((one, listening))
            else:
                listening.close()

    def forget(self) -> None:
        """Lets go of what was inherited and nobody wanted."""
        for _, listening in self._inherited:
            listening.close()
        self._inherited = []

    def open_now(self) -> list[Port]:
        with self._lock:
            return [port for port in self._open if port.descriptor >= 0]

    def share(self, shared: Shared) -> None:
        """Other processes of this service take connections of these ports."""
        self._shared = shared

    def pause(self) -> None:
        """Raises what `share` was given raises; ports of ours may be paused then."""
        for port in self.open_now():
            port.pause()
        if self._shared is not None:
            self._shared.pause()

    def resume(self) -> None:
        for port in self.open_now():
            port.resume()
        if self._shared is not None:
            self._shared.resume()

    def _fitting(self, name: str, host: str, number: int) -> socket.socket | None:
        for index, (offered, listening) in enumerate(self._inherited):
            wanted = offered.number == number if number else offered.name == name
            if wanted and host in (offered.host, offered.address):
                del self._inherited[index]
                return listening
        return None

    def _replaced(self, number: int) -> str | None:
        """The address at which the process that is replaced has the port; `_fitting` did not take it for ours."""
        return next((offered.address for offered, _ in self._inherited if offered.number == number), None)


def _listens(inherited: socket.socket, offered: Offered) -> bool:
    if not inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return False
    address, number = inherited.getsockname()[:2]
    return bool(address == offered.address and number == offered.number)


def _listening(host: str, number: int, section: str, setting: str, replaced: str | None) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, number), family=family, backlog=_BACKLOG)
    except OSError as error:
        # The standard library writes the address into the errors of the kernel, and has no numbers for those of names.
        why = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        mend = f"stop what uses it, or set another {setting}"
        if replaced is not None and error.errno == errno.EADDRINUSE:
            mend = (
                f"the process that serves has it at {replaced}, and no other address while it runs; stop it first, "
                "senders are refused meanwhile: radstream down router && radstream up router"
            )
        raise ConfigError(
            f"{section and f'[{section}] '}{host}:{number} cannot be listened on ({why}): {mend}"
        ) from None

"""Where the processes of a service that share a port find each other.

<folder>/<name>.socket    the process that serves listens here
         <name>.lock      held (flock) by the one that takes over, or starts: one at a time

The folder is private to its user: who can connect gets the sockets.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from streams.config import ConfigError
from streams.stop import Stop

# Longer than a take-over can last.
LOCK_S_MAX: Final = 90.0
_POLL_S: Final = 0.05
_WAITING_MAX: Final = 16


class Place:
    """`name` is the service and what tells its instances on one machine apart."""

    def __init__(self, folder: Path, name: str) -> None:
        """Makes the folder, of mode 700. Raises ConfigError where it cannot be used, or is not private."""
        self.folder = folder
        self.name = name
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = folder.stat()
        except OSError as error:
            raise self._unusable(error) from None
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise ConfigError(
                f"[handover] folder {folder} is not private: whoever can enter it could take the service's sockets; "
                f"give it to the service's user and take it from all others (chmod 700), or set another"
            )

    def lock(self, stopping: threading.Event) -> int | None:
        """A descriptor that holds the lock; None where the service is to stop first. Raises Stop where another has it
        for too long."""
        try:
            descriptor = os.open(self.folder / f"{self.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unusable(error) from None
        end = time.monotonic() + LOCK_S_MAX
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
            except BlockingIOError:
                pass
            if stopping.wait(_POLL_S):
                os.close(descriptor)
                return None
            if time.monotonic() > end:
                os.close(descriptor)
                raise Stop(
                    f"another process is taking over since {LOCK_S_MAX:.0f} s (it holds "
                    f"{self.folder / self.name}.lock): look at its log, end it, and start this one again"
                )

    def connect(self) -> socket.socket | None:
        """A connection to the process that serves; None where there is none."""
        connecting = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._reach(connecting.connect, f"{self.name}.socket")
        except OSError:
            connecting.close()
            return None
        return connecting

    def is_served(self) -> bool:
        """Whether there is one."""
        connected = self.connect()
        if connected is not None:
            connected.close()
        return connected is not None

    def listen(self) -> socket.socket:
        """From now on it is this process that others find. Raises OSError."""
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        new = self.folder / f"{self.name}.{os.getpid()}.new"
        try:
            new.unlink(missing_ok=True)
            self._reach(listening.bind, new.name)
            listening.listen(_WAITING_MAX)
            new.replace(self.folder / f"{self.name}.socket")
        except OSError:
            listening.close()
            raise
        return listening

    def _unusable(self, error: OSError) -> ConfigError:
        return ConfigError(
            f"[handover] folder {self.folder} cannot be used ({error.strerror}): make it one of mode 700 that the "
            "service owns, or set another"
        )

    def _reach(self, do: Callable[[str], None], name: str) -> None:
        """By the folder's descriptor: the path of a Unix socket has 107 bytes at most (unix(7))."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            do(f"/proc/self/fd/{descriptor}/{name}")
        finally:
            os.close(descriptor)

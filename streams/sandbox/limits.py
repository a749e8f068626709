"""What a helper may not do: set by itself, before it loads any decoder, and never loosened (docs/decisions/0049)."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from contextlib import suppress
from typing import Final

# linux/prctl.h and linux/sched.h.
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000

_FILES_MAX: Final = 32
# Of the whole life of a helper; each frame has a timer beside.
_LIFE_CPU_S: Final = 600


def hold(written_bytes_max: int) -> bool:
    """Limits this process for good; whether it is without a network. Raises OSError where the kernel refuses others."""
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_PDEATHSIG, signal.SIGKILL), (_PR_SET_NO_NEW_PRIVS, 1)):
        if libc.prctl(option, value, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
    _at_most(resource.RLIMIT_CORE, 0)
    _at_most(resource.RLIMIT_NOFILE, _FILES_MAX)
    _at_most(resource.RLIMIT_FSIZE, written_bytes_max)
    _at_most(resource.RLIMIT_CPU, _LIFE_CPU_S)
    # In a user namespace of its own no privilege is needed for a network namespace. Many containers forbid it.
    return not libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def _at_most(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def hold_memory(bytes_max: int) -> None:
    """No request, and nothing that takes this process over, gets more than this beside what is loaded by now."""
    for kind, used in _used():
        with suppress(ValueError):
            _at_most(kind, used + bytes_max)


def begin(bytes_max: int, cpu_s: float) -> None:
    """One frame: its memory from here on, and its time on the processor, after which SIGPROF ends the process."""
    for kind, used in _used():
        _, hard = resource.getrlimit(kind)
        wanted = used + bytes_max
        resource.setrlimit(kind, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    signal.setitimer(signal.ITIMER_PROF, cpu_s)


def end() -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (hard, hard))


def _used() -> list[tuple[int, int]]:
    """Bytes of address space and of writable memory of this process (proc(5), statm)."""
    descriptor = os.open("/proc/self/statm", os.O_RDONLY)
    try:
        pages = os.read(descriptor, 256).split()
    finally:
        os.close(descriptor)
    size = resource.getpagesize()
    return [(resource.RLIMIT_AS, int(pages[0]) * size), (resource.RLIMIT_DATA, int(pages[5]) * size)]

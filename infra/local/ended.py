"""Why a service ended by itself, as the end of its log says."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

import msgspec

from streams.handover.crew import SAID_ABOVE

# What is read of a log that may have gigabytes.
_BYTES_MAX: Final = 64 << 10
# Of a program of Java: what it says at its end, and what that came of, stand above the traces and the farewells.
_ERROR: Final = re.compile(r"\S+ +(ERROR|FATAL) |Caused by: ")
# Behind the reason a thread may say a word more, before the process is gone.
_LINES_MAX: Final = 10


class _Failed(msgspec.Struct, frozen=True):
    """The line of an end that nobody planned: an exception's type and its place in the code (`streams.service`)."""

    event: str
    error: str
    where: list[str]


def reason(log: Path, name: str, begin: int = 0) -> str | None:
    """Of the process whose output begins at byte `begin`; None where it does not say (it was killed).

    The text is that of `streams.service`: our own, without patient data.
    """
    found = [why for line in last_lines(log, _LINES_MAX, begin) if (why := _why(line, f"radstream {name}: "))]
    # A parent only says that it was one of its processes.
    return next((why for why in reversed(found) if why != SAID_ABOVE), found[-1] if found else None)


def last_lines(log: Path, count: int, begin: int = 0) -> list[str]:
    """The last lines of a file, whole, from byte `begin` on; none where there is no such file."""
    try:
        with log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            # Somebody may have emptied it meanwhile.
            begin = begin if begin <= end else 0
            start = max(begin, end - _BYTES_MAX)
            file.seek(start)
            lines = file.read(_BYTES_MAX).decode(errors="replace").split("\n")
    except OSError:
        return []
    if start > begin:
        del lines[0]
    return [line for line in lines if line][-count:]


def errors(log: Path, count: int, begin: int = 0) -> list[str]:
    """The last lines that are errors of a program of Java, from byte `begin` on; none where it has none."""
    return [line for line in last_lines(log, _BYTES_MAX, begin) if _ERROR.match(line)][-count:]


def _why(line: str, said: str) -> str | None:
    if line.startswith(said):
        return line.removeprefix(said).removeprefix("stopped: ")
    try:
        found = msgspec.json.decode(line, type=_Failed)
    except msgspec.MsgspecError:
        return None
    place = f" at {found.where[-1]}" if found.where else ""
    return f"{found.error}{place}, which nobody planned" if found.event == "service_failed" else None

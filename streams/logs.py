"""Logs: one JSON object a line on stderr, technical fields only.

A parser's exception or warning can quote the value it fell over, and that value can be a patient's name. So the text
of exceptions, of `warnings` and of other libraries' log messages never reaches a log: their type and the place in the
code do. What our own code logs is an event name and technical fields.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import warnings
from collections.abc import MutableMapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import structlog

_FRAMES_MAX = 8


def configure(service: str, level: str = "info", stream: TextIO | None = None) -> None:
    """Sets up the logs of this process: our own, those of libraries, and what Python itself prints of exceptions.

    `level` is a level's name; raises ValueError for an unknown one.
    """
    number = number_of(level)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _named(service),
            without_exception_text,
            structlog.processors.JSONRenderer(default=_plain),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    _route_libraries()
    _route_exceptions()


def number_of(level: str) -> int:
    """Of a level's name, in small letters or capitals. Raises ValueError for an unknown one."""
    levels = logging.getLevelNamesMapping()
    if level.upper() not in levels:
        raise ValueError(f"log level {level!r}: one of debug, info, warning, error")
    return levels[level.upper()]


def _named(service: str) -> structlog.typing.Processor:
    def add(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = service
        return event

    return add


def without_exception_text(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replaces exceptions, as `exc_info` or as a field's value, by their type and the place in the code."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()[1]
    if isinstance(info, tuple):
        info = info[1]
    if isinstance(info, BaseException):
        event["error"], event["where"] = type(info).__name__, places(info.__traceback__)
    event.pop("stack_info", None)
    for name, value in event.items():
        if isinstance(value, BaseException):
            event[name] = type(value).__name__
    return event


def places(trace: TracebackType | None) -> list[str]:
    """The innermost frames of a traceback as `module:line function`, innermost last."""
    frames = [
        f"{frame.f_globals.get('__name__', '?')}:{line} {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(trace)
    ]
    return frames[-_FRAMES_MAX:]


def _plain(value: object) -> str:
    """What JSON has no word for. A repr can hold anything, so only the type is said."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else f"<{type(value).__name__}>"


class _WithoutText(logging.Handler):
    """Other libraries' messages: which logger, which level, where in the code. Not what they say."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        structlog.get_logger().warning(
            "library_message", logger=record.name, severity=record.levelname.lower(), place=_place(record), error=error
        )


def _place(record: logging.LogRecord) -> str:
    return f"{record.module}:{record.lineno}"


def _route_libraries() -> None:
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, _WithoutText):
            root.removeHandler(handler)
    root.addHandler(_WithoutText(level=logging.WARNING))
    root.setLevel(logging.WARNING)
    # The standard library would print a traceback, text included, where a handler fails.
    logging.raiseExceptions = False

    def show(*about: Any, **_: Any) -> None:
        category, filename, line = about[1:4]
        place = f"{Path(filename).name}:{line}"
        structlog.get_logger().warning("python_warning", category=category.__name__, place=place)

    warnings.showwarning = show


def _route_exceptions() -> None:
    """Python prints exceptions that nobody caught, with their text; these hooks take its place."""

    def uncaught(_: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        structlog.get_logger().error("uncaught", error=type(error).__name__, where=places(trace))

    def in_thread(args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread else None
        structlog.get_logger().error(
            "uncaught", error=args.exc_type.__name__, where=places(args.exc_traceback), thread=name
        )

    def unraisable(args: Any) -> None:
        structlog.get_logger().error("uncaught", error=args.exc_type.__name__, where=places(args.exc_traceback))

    sys.excepthook, threading.excepthook, sys.unraisablehook = uncaught, in_thread, unraisable

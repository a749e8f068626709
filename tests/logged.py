"""What is logged while a test runs."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from streams import logs


@contextmanager
def captured() -> Iterator[io.StringIO]:
    """Logs as the service `testing`, from debug on; the process is put back as it was."""
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning
    ours = structlog.get_config()
    level, handlers, raises = logging.root.level, list(logging.root.handlers), logging.raiseExceptions
    stream = io.StringIO()
    try:
        logs.configure("testing", "debug", stream)
        yield stream
    finally:
        structlog.configure(**ours)
        sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning = hooks
        logging.root.handlers[:], logging.raiseExceptions = handlers, raises
        logging.root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]

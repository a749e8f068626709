"""`radstream` commands against a running stack, in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from click.testing import CliRunner, Result

from radstream.__main__ import cli
from tests.running_stack import RunningStack


def run(stack: RunningStack, *arguments: str) -> Result:
    with _logs_on_stderr():
        return CliRunner().invoke(cli, [*arguments, "--config", str(stack.config_path)])


@contextmanager
def _logs_on_stderr() -> Iterator[None]:
    """As `radstream` itself has them: on a slow machine Kafka's client warns, and stdout is what a command prints."""
    if structlog.is_configured():
        yield
        return
    structlog.configure(logger_factory=lambda *_: structlog.WriteLogger(sys.stderr))
    try:
        yield
    finally:
        structlog.reset_defaults()


def facts(stack: RunningStack, *arguments: str) -> Any:
    """What the command prints with --json; it has to end well."""
    done = run(stack, *arguments, "--json")
    assert done.exception is None, (done.output, done.exception)
    return json.loads(done.stdout)

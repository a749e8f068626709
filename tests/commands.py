"""`radstream` commands against a running stack, in this process."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner, Result

from radstream.__main__ import cli
from tests.running_stack import RunningStack


def run(stack: RunningStack, *arguments: str) -> Result:
    return CliRunner().invoke(cli, [*arguments, "--config", str(stack.config_path)])


def facts(stack: RunningStack, *arguments: str) -> Any:
    """What the command prints with --json; it has to end well."""
    done = run(stack, *arguments, "--json")
    assert done.exception is None, (done.output, done.exception)
    return json.loads(done.stdout)

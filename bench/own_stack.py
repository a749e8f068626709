"""A stack made for a measurement: on a disk beside the default one, and removed afterwards."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from infra.local import home as homes
from infra.local.errors import StackError
from infra.local.stack import Stack


@contextlib.contextmanager
def own_stack(say: Callable[[str], None]) -> Iterator[Stack]:
    """Nothing of it runs yet. Whatever runs at the end is stopped."""
    beside = homes.default_home().parent
    beside.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix=".radstream-bench-", dir=beside))
    home.chmod(0o755)
    stack = Stack(home, say)
    try:
        yield stack
    finally:
        with contextlib.suppress(StackError):
            stack.down()
        shutil.rmtree(home, ignore_errors=True)

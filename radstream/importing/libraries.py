"""The libraries that formats are read by; they come with an extra of their own."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from radstream.errors import Failure


def library(name: str, for_what: str) -> Any:
    """A module of the extra `import`. Raises Failure where it is not installed, or does not load on this machine."""
    try:
        return import_module(name)
    except (ImportError, OSError):
        package = name.partition(".")[0]
        raise Failure(f"{for_what} needs {package}, which is not installed: pip install 'radstream[import]'") from None

"""The libraries that formats are read by; they come with an extra of their own."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

from radstream.errors import Failure


def library(name: str, for_what: str) -> Any:
    """A module of the extra `import`. Raises Failure where it is not installed, or does not load on this machine."""
    package = name.partition(".")[0]
    # What they find odd in a file they log with its values.
    logging.getLogger(package).setLevel(logging.CRITICAL + 1)
    try:
        return import_module(name)
    except (ImportError, OSError):
        how = "pip install 'radstream[import]', in a checkout '.[import]'"
        raise Failure(f"{for_what} needs {package}, which is not installed: {how}") from None

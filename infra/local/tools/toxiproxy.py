"""toxiproxy, which cuts and slows connections for the fault tests, built from its source."""

from __future__ import annotations

from pathlib import Path

from infra.local import process
from infra.local.errors import StackError
from infra.local.tools import cache, gateway

NAME = "toxiproxy"
VERSION = "v2.12.0"
MODULE = "github.com/Shopify/toxiproxy/v2/cmd/server"


def program() -> Path:
    return cache.path(NAME, VERSION) / "server"


def is_built() -> bool:
    return program().is_file()


def ensure(say: cache.Say) -> None:
    """Builds it where Go is at hand and it is not. What cannot be had is said, and stops nobody."""
    if is_built() or gateway.go() is None:
        return
    try:
        cache.installed(NAME, VERSION, _build, say, "it cuts connections in the fault tests, built with Go (a minute)")
    except StackError as error:
        say(f"{NAME} is left out: {error}")


def _build(target: Path) -> None:
    process.run([str(gateway.go()), "install", f"{MODULE}@{VERSION}"], f"building {NAME}", {"GOBIN": str(target)})

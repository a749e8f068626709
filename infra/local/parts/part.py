"""What every part of the stack says of itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from infra.local.process import Launch
from infra.local.state import State


@dataclass(frozen=True)
class Site:
    """What a part is built from. `say` takes a line for the person who watches."""

    home: Path
    state: State
    say: Callable[[str], None]

    @property
    def config(self) -> Path:
        return self.home / "radstream.toml"

    def data(self, part: str) -> Path:
        """The part's own folder, which it alone writes."""
        folder = self.home / "data" / part
        folder.mkdir(mode=0o755 if os.geteuid() == 0 else 0o700, exist_ok=True)
        return folder


class Part(Protocol):
    """`prepare` can be repeated and runs before each start; `ready` asks once and never waits.

    `start_s_max`, in seconds, is for a machine that reads everything from a slow disk, and for parts that start at once
    on two cores: one that ends while it starts is told of then, and one that is still waited for every ten seconds.
    """

    name: str
    stop_signal: signal.Signals
    start_s_max: float
    stop_s_max: float

    @property
    def ports(self) -> Sequence[int]:
        """Every port that it listens on."""

    @property
    def waits_for(self) -> str:
        """What `ready` asks for, in words."""

    def prepare(self) -> None: ...

    def launch(self) -> Launch: ...

    def ready(self) -> bool: ...


class Serving(msgspec.Struct, frozen=True):
    """Which process of a service answers, and the version of its code."""

    pid: int
    version: str


def get_serving(url: str) -> Serving | None:
    """What a GET of /readyz on loopback says; None where nothing answers, or what answers does not say it."""
    import urllib3

    try:
        return msgspec.json.decode(urllib3.request("GET", url, timeout=2.0, retries=False).data, type=Serving)
    except (urllib3.exceptions.HTTPError, msgspec.MsgspecError):
        return None


def get_status(url: str) -> int:
    """The status code of a GET on loopback; 0 where nothing answers."""
    import urllib3

    try:
        return urllib3.request("GET", url, timeout=2.0, retries=False).status
    except urllib3.exceptions.HTTPError:
        return 0

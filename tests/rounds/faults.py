"""What a round does to the site. Each fault begins, lasts, and is undone; what was killed is started again."""

from __future__ import annotations

import random
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.local import ports
from tests.rounds.parts import LOG, SENDERS, STORE
from tests.rounds.site import FaultSite
from tests.rounds.toxiproxy import Stream
from tests.waiting import wait_until

# How often a round has two of them.
TWO_OF = 0.3
# What is left of a full disk, in bytes: nothing, or enough for a part of an object.
_LEFT_MAX = 200_000
_STARTED_S_MAX = 300.0
# What a cut does, with its attributes from and to (toxiproxy's own: milliseconds, bytes, kilobytes a second).
_TOXICS: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "reset_peer": {"timeout": (0, 200)},
    "timeout": {"timeout": (0, 0)},
    "limit_data": {"bytes": (1, 60_000)},
    "slow_close": {"delay": (100, 800)},
    "latency": {"latency": (50, 400), "jitter": (0, 100)},
    "bandwidth": {"rate": (4, 400)},
    "slicer": {"average_size": (64, 1_024), "size_variation": (8, 32), "delay": (10, 1_000)},
}
_CLOSED = "closed"
_STREAMS: Sequence[Stream] = ("upstream", "downstream")


@dataclass(frozen=True)
class Fault:
    """`begin` and `end` return soon; what was started again may take longer to be ready."""

    name: str
    begin: Callable[[], None]
    end: Callable[[], None]


def nothing() -> None: ...


Make = Callable[[FaultSite, random.Random], Fault]


def killed_router(site: FaultSite, _: random.Random) -> Fault:
    """It is started again at once: by then senders knock already."""

    def begin() -> None:
        site.stack.kill("router")
        site.stack.launch("router")

    return Fault("router killed", begin, nothing)


def killed(part: str) -> Make:
    return lambda site, _: Fault(
        f"{_said(part)} killed", lambda: site.stack.kill(part), lambda: site.stack.launch(part)
    )


def frozen(part: str) -> Make:
    return lambda site, _: Fault(
        f"{_said(part)} frozen",
        lambda: site.stack.signal(part, signal.SIGSTOP),
        lambda: site.stack.signal(part, signal.SIGCONT),
    )


def full(part: str) -> Make:
    def make(site: FaultSite, chance: random.Random) -> Fault:
        disk, left = site.disks[part], chance.choice((0, chance.randrange(_LEFT_MAX)))
        return _while_full(f"disk of {part} full", lambda: disk.fill(left))

    return make


def killed_router_on_a_full_disk(site: FaultSite, _: random.Random) -> Fault:
    """Its disk is full until it listens again, however long that takes."""

    def begin() -> Path:
        filler = site.disks["router"].fill()
        site.stack.kill("router")
        site.stack.launch("router")
        return filler

    def listens() -> bool:
        with socket.socket() as knocking:
            return knocking.connect_ex((ports.HOST, site.stack.ports["router"])) == 0

    return _while_full(
        "router killed, its disk full",
        begin,
        lambda: wait_until(listens, "a router that starts on a full disk", _STARTED_S_MAX),
    )


def _while_full(name: str, fill: Callable[[], Path], before_room: Callable[[], object] = nothing) -> Fault:
    """`fill` gives the file that there is no room for anything else; `before_room` ends before that is removed."""
    fillers: list[Path] = []

    def end() -> None:
        try:
            before_room()
        finally:
            fillers.pop().unlink()

    return Fault(name, lambda: fillers.append(fill()), end)


def cut(link: str) -> Make:
    def make(site: FaultSite, chance: random.Random) -> Fault:
        kind = chance.choice((_CLOSED, *_TOXICS))
        if kind == _CLOSED:
            return Fault(f"{link} cut ({kind})", lambda: site.proxy.close(link), lambda: site.proxy.open(link))
        attributes = {name: chance.randint(*bounds) for name, bounds in _TOXICS[kind].items()}
        stream, names = chance.choice(_STREAMS), list[str]()

        def begin() -> None:
            names.append(site.proxy.add(link, kind, stream, attributes))

        def end() -> None:
            site.proxy.remove(link, names.pop())

        return Fault(f"{link} cut ({kind})", begin, end)

    return make


# How often each is drawn. A broker takes the longest to start, so it is killed less often than frozen.
_WEIGHTS: Mapping[Make, int] = {
    killed_router: 20,
    killed("kafka"): 4,
    frozen("kafka"): 8,
    killed("store"): 14,
    frozen("store"): 6,
    cut(SENDERS): 14,
    cut(STORE): 14,
    cut(LOG): 14,
}
_ON_DISKS: Mapping[Make, int] = {full("store"): 9, full("router"): 9, killed_router_on_a_full_disk: 6}


class Faults:
    """Draws the faults of one round after the other. The first rounds have each once, alone, in an order drawn."""

    def __init__(self, site: FaultSite, chance: random.Random) -> None:
        self._site = site
        self._chance = chance
        self._weights = {**_WEIGHTS, **(_ON_DISKS if site.disks else {})}
        self._first = list(self._weights)
        chance.shuffle(self._first)

    def draw(self) -> list[Fault]:
        if self._first:
            return [self._first.pop()(self._site, self._chance)]
        makes = self._chance.choices(list(self._weights), list(self._weights.values()), k=2)
        if makes[0] is makes[1] or self._chance.random() >= TWO_OF:
            makes.pop()
        if killed_router_on_a_full_disk in makes:
            makes = [killed_router_on_a_full_disk]  # It has the router and its disk to itself.
        # What is killed cannot be frozen as well.
        made = [make(self._site, self._chance) for make in makes]
        return made[:1] if len({fault.name.split()[0] for fault in made}) < len(made) else made


def _said(part: str) -> str:
    return {"kafka": "broker"}.get(part, part)

"""What is done to those who serve readers, and by what a reader notices it."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.readers.site import Site, flip
from tests.readers.studies import Image
from tests.readers.tally import CUT

STORE, CATALOG = "object store does not", "catalog does not"
DAMAGED = "damaged"
# Of a part that is frozen and that nobody is to notice, how long.
FROZEN_S = 1.0


@dataclass(frozen=True)
class Fault:
    """It lasts until a reader was told one of `felt`; where nobody is to feel it, for FROZEN_S seconds."""

    name: str
    begin: Callable[[], None]
    end: Callable[[], None]
    felt: Sequence[str] = ()


def killed(site: Site, part: str, *felt: str) -> Fault:
    return Fault(f"{part} killed", lambda: site.stack.kill(part), lambda: site.stack.launch(part), felt)


def frozen(site: Site, part: str, *felt: str) -> Fault:
    return Fault(
        f"{part} frozen",
        lambda: site.signal(part, signal.SIGSTOP),
        lambda: site.signal(part, signal.SIGCONT),
        felt,
    )


def cache_killed(site: Site) -> Fault:
    assert site.cache is not None
    cache = site.cache
    return Fault("redis killed", lambda: cache.signal(signal.SIGKILL), cache.start)


def cache_frozen(site: Site) -> Fault:
    assert site.cache is not None
    cache = site.cache
    return Fault("redis frozen", lambda: cache.signal(signal.SIGSTOP), lambda: cache.signal(signal.SIGCONT))


@dataclass
class Flipped:
    """Bits of stored files and of everything that is cached, flipped while the gateway is killed: what it held in
    memory is gone. One image is damaged in every store, which is said; the others are read from another one."""

    site: Site
    slices: Sequence[Image]
    large: Image
    chance: random.Random
    flipped: int = 0
    _before: list[tuple[Path, bytes]] = field(default_factory=list)

    def fault(self) -> Fault:
        return Fault("bits flipped, gateway killed", self.begin, self.end, (DAMAGED,))

    def begin(self) -> None:
        header, pixels, everywhere, pictured = self.chance.sample(list(self.slices), 4)
        thumbnail, first = self.site.thumbnail(pictured)
        self.site.stack.kill("gateway")
        self._before.append((thumbnail, flip(thumbnail, first + 100)))
        self._flip(header, header.file.index(header.patient.encode()))
        self._flip(pixels, len(pixels.file) - self.chance.randrange(1, 1000))
        self._flip(self.large, len(self.large.file) // 2)
        copies = self.site.copies(everywhere)
        for number in range(len(copies)):
            self._flip(everywhere, len(everywhere.file) // 2, number)
        for path in self.site.cached():
            size = path.stat().st_size
            if size:
                flip(path, self.chance.randrange(size))
                self.flipped += 1
        if self.site.cache is not None:
            self.flipped += self.site.cache.flip()
        self.site.stack.launch("gateway")

    def end(self) -> None:
        while self._before:
            path, data = self._before.pop()
            path.write_bytes(data)

    def _flip(self, image: Image, at: int, number: int = 0) -> None:
        path = self.site.copies(image)[number]
        self._before.append((path, flip(path, at)))
        self.flipped += 1


def all_of(site: Site, slices: Sequence[Image], large: Image, chance: random.Random) -> list[Callable[[], Fault]]:
    """Each once; some of them are of two parts at the same time."""
    made: list[Callable[[], Fault]] = [
        lambda: killed(site, "store", STORE),
        lambda: killed(site, "postgres", CATALOG),
        lambda: killed(site, "gateway", CUT),
        lambda: killed(site, "retrieve", CUT),
        lambda: frozen(site, "store", STORE),
        lambda: frozen(site, "postgres", CATALOG),
        lambda: frozen(site, "gateway"),
        Flipped(site, slices, large, chance).fault,
    ]
    if site.cache is not None:
        made += [lambda: cache_killed(site), lambda: cache_frozen(site)]
    return made

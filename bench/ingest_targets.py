"""How each receiver is opened for a case, the router in its stack and programs in a folder alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import ingest_stack
from bench.contenders import Absent, Contender
from bench.ingest_load import CALLED_AE, CALLING_AE
from bench.ingest_peers import RECEIVERS
from bench.ingest_receivers import Receiver, running, version
from bench.ingest_stack import Promise


@dataclass(frozen=True)
class Target:
    """A receiver that runs. Of `pids`, the first is its own, the others are what it stands on.

    `held` is asked once it has ended.
    """

    host: str
    port: int
    called_ae: str
    calling_ae: str
    pids: Mapping[str, int]
    held: Callable[[int], set[str]]


Opening = Callable[[Path], AbstractContextManager[Target]]


def openings_of(
    names: Sequence[str], programs: Path | None, promises: Mapping[int, Promise], absent: list[Absent]
) -> tuple[dict[str, Opening], list[Contender]]:
    """How each receiver that is there is started, and what it is; those that are not are added to `absent`."""
    openings: dict[str, Opening] = {}
    described = []
    for name in names:
        if name in ingest_stack.WHAT:
            if promise := promises.get(ingest_stack.PROCESSES[name]):
                openings[name] = partial(_in_the_stack, promise, ingest_stack.CALLING[name])
                described.append(Contender(name, ingest_stack.WHAT[name], ingest_stack.version()))
            continue
        receiver = RECEIVERS[name]
        program = receiver.path(programs)
        if program is None:
            absent.append(Absent(name, f"{receiver.program} is not installed", receiver.install))
            continue
        openings[name] = partial(_in_a_folder, receiver, program)
        described.append(Contender(name, receiver.what, version(receiver, program)))
    return openings, described


@contextmanager
def _in_a_folder(receiver: Receiver, program: str, work: Path) -> Iterator[Target]:
    with running(receiver, program, work) as process:
        yield Target(
            process.host,
            process.port,
            CALLED_AE,
            CALLING_AE,
            {receiver.name: process.pid},
            partial(receiver.held, process.place),
        )


@contextmanager
def _in_the_stack(promise: Promise, calling_ae: str, _: Path) -> Iterator[Target]:
    began = promise.positions()
    target = promise.target
    yield Target(target.host, target.port, target.ae_title, calling_ae, promise.pids, lambda _: promise.held(began))

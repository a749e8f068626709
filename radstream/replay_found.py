"""The replays that the log knows, as commands ask for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from radstream.errors import Failure
from streams.config import Config, Site
from streams.log import Log
from streams.replays import KnownReplay, known, place_of

State = Literal["running", "interrupted", "completed", "switched", "published"]


def found(config: Config, log: Log, step: str, generation: int) -> KnownReplay:
    """Raises Failure where there is no such replay, LogAway, LogRefused."""
    replays = [replay for replay in known(log, config.section("site", Site).tenant) if replay.step == step]
    for replay in replays:
        if replay.generation == generation:
            return replay
    numbers = ", ".join(str(replay.generation) for replay in replays) or "none"
    raise Failure(
        f"no replay of {step} has generation {generation} (there are: {numbers}). A generation of the service itself "
        "is no replay; see: radstream replay list"
    )


@dataclass(frozen=True)
class Progress:
    """Records of the replay's input, and where it stands."""

    state: State
    done: int
    total: int


def progress_of(log: Log, replay: KnownReplay) -> Progress:
    """A phase that the log has stands; before that the group says how far it is. Raises LogAway, LogRefused."""
    done = replay.total if "completed" in replay.reached else _done(log, replay)
    return Progress(_state(log, replay), done, replay.total)


def _state(log: Log, replay: KnownReplay) -> State:
    if "published" in replay.reached:
        return "published"
    if "switched" in replay.reached:
        return "switched"
    if "completed" in replay.reached:
        return "completed"
    return "running" if log.members(replay.group) else "interrupted"


def _done(log: Log, replay: KnownReplay) -> int:
    starts, ends = replay.replay.starts, replay.replay.ends
    committed = log.committed(replay.group, [place_of(name) for name in ends])
    reached = {name: committed[place_of(name)] or starts[name] for name in ends}
    return sum(min(max(reached[name], starts[name]), end) - starts[name] for name, end in ends.items())

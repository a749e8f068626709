"""What runs of the local stack, for people who look at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local.errors import StackError
from infra.local.stack import Stack
from radstream.errors import Failure

NOT_DURABLE = (
    "WARNING: this file system does not keep what the object store acknowledges (it takes no synchronous flag): "
    "a power loss can lose acknowledged images. Good for trying things out, never for patients."
)


@dataclass(frozen=True)
class Part:
    """`ended`: why it ended by itself, where its log says so."""

    name: str
    pid: int | None
    log: str
    ended: str | None = None

    @property
    def runs(self) -> bool:
        return self.pid is not None


@dataclass(frozen=True)
class StackState:
    """`durable` is None before the first start."""

    home: str
    parts: tuple[Part, ...]
    durable: bool | None

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.parts if not part.runs)

    @property
    def ended(self) -> Mapping[str, str]:
        """Why, by part, of those that ended by themselves and said so."""
        return {part.name: part.ended for part in self.parts if part.ended is not None}


def stack_state(home: Path) -> StackState | None:
    """None where no local stack was ever started in that folder. Raises Failure for one that cannot be read."""
    if not (home / "stack.json").exists():
        return None
    try:
        stack = Stack(home)
        running, ended = stack.running(), stack.ended()
        parts = tuple(Part(name, running.get(name), str(stack.log(name)), ended.get(name)) for name in stack.names)
        return StackState(str(home), parts, stack.state.durable)
    except StackError as error:
        raise Failure(str(error)) from None

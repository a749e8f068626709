"""What one partition number is known to hold, and what people asked of it."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from consumers.tiering.study import Study
from streams.decisions import Settling
from streams.events import SUBJECTS as TOPICS
from streams.events import AccessRead, HoldCommand, StudyRevision, TierCommand, TierMoved
from streams.log import TopicPartition
from streams.step import Input

REVISIONS, READS, HOLDS = TOPICS[StudyRevision], TOPICS[AccessRead], TOPICS[HoldCommand]
COMMANDS, MOVED = TOPICS[TierCommand], TOPICS[TierMoved]
# Folded like the output: what they say is part of the state, and never waits for a decision.
FACTS = (REVISIONS, READS, HOLDS)
# Revisions kept until a move is planned for them; others are read again from the log. About 2 kB each.
REMEMBERED_MAX = 2000


@dataclass
class Asked:
    """A command. `open` are the studies that are not settled for it, None until everything before it was read.

    What failed at or after the output's offset `since` failed for this command, and is not tried again for it.
    """

    offset: int
    now: datetime
    tenant: str
    only: str | None
    ends: Mapping[str, int] | None = None
    since: int = 0
    open: set[str] | None = None


@dataclass
class Studies:
    """Implements `streams.decisions.State`. By topic: `topic_ids`, `read` (next offset), `ends` (as it was loaded).

    `studies` is by tenant and study. `under_way` holds the last decision of those that move; `left` those of which
    nothing could be decided, with the revision that was looked at and until when; `looks` those to look at next.
    `unsettled` are those whose new revision has not led to all that it was to lead to, with its offset: the group's
    commit stays before it, so that lag says how far tiering is. What is read after a restart does not depend on it.
    `restores` are commands to restore a study that no decision tells of yet: once one does, the decision is what is
    remembered. `waiting` are studies whose archived copies were asked for, or that there is no room to copy here, with
    when to look again.
    """

    number: int
    topic_ids: Mapping[str, str]
    position: int = 0
    studies: dict[str, Study] = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=dict)
    ends: Mapping[str, int] = field(default_factory=dict)
    in_flight: set[str] = field(default_factory=set)
    working: set[str] = field(default_factory=set)
    asked: deque[Asked] = field(default_factory=deque)
    looks: OrderedDict[str, None] = field(default_factory=OrderedDict)
    under_way: dict[str, Input[TierMoved]] = field(default_factory=dict)
    revisions: OrderedDict[str, Input[StudyRevision]] = field(default_factory=OrderedDict)
    unsettled: dict[str, int] = field(default_factory=dict)
    left: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    restores: dict[str, list[Input[TierCommand]]] = field(default_factory=dict)
    waiting: dict[str, datetime] = field(default_factory=dict)
    _commands: Settling = field(default_factory=Settling)

    @property
    def known(self) -> int:
        return len(self.studies)

    @property
    def waiting_inputs(self) -> int:
        return len(self.asked)

    def study(self, entity: str) -> Study:
        return self.studies.setdefault(entity, Study())

    def touch(self, entity: str) -> None:
        """It is to be looked at: something about it has changed, or may have. What somebody waits for comes first."""
        self.looks[entity] = None
        study = self.studies.get(entity)
        if entity in self.restores or (study is not None and study.moving and study.why == "recall"):
            self.looks.move_to_end(entity, last=False)

    def expect(self, entity: str) -> None:
        """A new revision is to lead to something, or a move is under way."""
        study = self.study(entity)
        # A move that was folded already may be of a revision that comes only now.
        self.unsettled.setdefault(entity, max(study.covered, study.revision_offset))
        self.touch(entity)

    def leave(self, entity: str, until: datetime) -> None:
        """Nothing can be decided of it as it is: it is not looked into again before it changes or the time is over."""
        self.left[entity] = (self.study(entity).revision_offset, until)

    def is_left(self, entity: str, now: datetime) -> bool:
        revision_offset, until = self.left.get(entity, (-1, now))
        return now < until and self.study(entity).revision_offset == revision_offset

    def wait(self, entity: str, until: datetime) -> None:
        """Its archived copies are not there yet, or there is no room for one."""
        self.waiting[entity] = until

    def is_waiting(self, entity: str, now: datetime) -> bool:
        return entity in self.waiting and now < self.waiting[entity]

    def remember(self, entity: str, revision: Input[StudyRevision]) -> None:
        self.revisions[entity] = revision
        while len(self.revisions) > REMEMBERED_MAX:
            self.revisions.popitem(last=False)

    def has_read(self, ends: Mapping[str, int]) -> bool:
        """Whether everything before the next offsets to be written, by topic, is in the state."""
        return all(self._next(topic) >= end for topic, end in ends.items())

    def _next(self, topic: str) -> int:
        return self.position if topic == MOVED else self.read.get(topic, 0)

    # Commands.

    def ask(self, asked: Asked) -> None:
        self._commands.read(asked.offset)
        self.asked.append(asked)

    def ask_restore(self, entity: str, command: Input[TierCommand]) -> None:
        """Of many who ask, one restore comes."""
        self._commands.read(command.record.offset)
        self.restores.setdefault(entity, []).append(command)
        study = self.study(entity)
        if study.moving and study.why == "recall":
            self.settle_restores(entity)
        self.touch(entity)

    def settle_restores(self, entity: str) -> None:
        """A decision tells of the restore, or there is nothing to restore."""
        for command in self.restores.pop(entity, ()):
            self._commands.settle(command.record.offset)

    def open_command(self) -> None:
        """Everything that was written before the first command is in the state: it is looked after now."""
        asked = self.asked[0]
        concerned = self.studies if asked.only is None else self.studies.keys() & {asked.only}
        asked.open = {entity for entity in concerned if entity.startswith(f"{asked.tenant}|")}
        asked.since = self.position
        for entity in asked.open:
            self.left.pop(entity, None)
            self.touch(entity)
        self._settle_commands()

    def settle(self, entity: str) -> None:
        """Nothing is to be done for a study, neither by the clock nor by the command."""
        self.unsettled.pop(entity, None)
        if self.asked and self.asked[0].open is not None:
            self.asked[0].open.discard(entity)
            self._settle_commands()

    def _settle_commands(self) -> None:
        if self.asked[0].open == set():
            self._commands.settle(self.asked.popleft().offset)

    # What the runner asks (`streams.decisions.State`).

    def starts(self, committed: Mapping[TopicPartition, int | None]) -> Mapping[TopicPartition, int | None]:
        return {name: self.read.get(name.topic, offset) for name, offset in committed.items()}

    def skip(self, partition: TopicPartition, offset: int) -> None:
        if partition.topic == COMMANDS:
            self._commands.read(offset)
            self._commands.settle(offset)
        else:
            self.read[partition.topic] = offset + 1

    def committable(self) -> dict[TopicPartition, int]:
        ends = {TopicPartition(topic, self.number): offset for topic, offset in self.read.items()}
        if self.unsettled:
            revisions = TopicPartition(REVISIONS, self.number)
            ends[revisions] = min(ends[revisions], *self.unsettled.values())
        if (command := self._commands.committable) is not None:
            ends[TopicPartition(COMMANDS, self.number)] = command
        return ends

"""What tiering does: looks at studies, has phases of moves worked on by threads, and decides what came of them.

A study is looked at when something about it has changed, when a command asks, and every `sweep_s` seconds. One phase of
a study is under way at a time, and the next begins when its decision was read back. Before a release is begun, the
holds of the partition are read to their end; one that comes while it is under way ends it between two pieces of work.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import timedelta
from queue import Empty, SimpleQueue

import structlog
from msgspec import structs

from consumers.tiering.config import Settings
from consumers.tiering.copies import Unwanted
from consumers.tiering.deciding import decision
from consumers.tiering.folding import NAME, Folding
from consumers.tiering.looking import next_work
from consumers.tiering.phases import Awaited, Ended, Left, Phases, Task
from consumers.tiering.policy import AGAIN, Policy
from consumers.tiering.state import FACTS, HOLDS, MOVED, REVISIONS, Studies
from consumers.tiering.study import asked_by
from streams import metrics
from streams.acknowledged import acknowledged
from streams.config import RESTORE_S_MAX
from streams.deadletters import dead_letter
from streams.events import TierCommand
from streams.generation import of_facts
from streams.log import LogAway, Producer, TopicPartition
from streams.objects import NoRoom, StoreAway
from streams.outbox import Outbox
from streams.pool import Pool
from streams.service import Context
from streams.sizes import DECISION_BYTES_MAX, size_of
from streams.step import Input
from streams.wire import Record

# Looked at between two polls: a sweep over many studies does not keep the member from its group.
LOOKS_MAX = 2000
# How often the archive is asked whether what it restores is there, and a disk whether it has room.
LOOK_AGAIN = timedelta(minutes=1)
# What has not come by then is not awaited any longer.
AWAITED_FOR = timedelta(seconds=RESTORE_S_MAX)
_SEND_S_MAX = 30.0

Report = tuple[Task, Ended | Left | Awaited | BaseException]


class Moving:
    """Implements `streams.decisions.Acting`. Used from one thread; `Phases` are worked on in others."""

    def __init__(
        self, context: Context, settings: Settings, policy: Policy, folding: Folding, producer: Producer
    ) -> None:
        self._context, self._settings, self._policy, self._producer = context, settings, policy, producer
        self._log = structlog.get_logger().bind(step=NAME)
        self._identity = of_facts(NAME, policy.digest)
        self._outbox = Outbox(context, producer, NAME, MOVED, REVISIONS)
        self._reports: SimpleQueue[Report] = SimpleQueue()
        self._folding = folding
        self._phases = Phases(context.store, folding, policy, settings.threads)
        self._pool: Pool[Task, Ended | Left | Awaited] = Pool(
            "tiering-study", settings.studies_at_once, self._phases, lambda *report: self._reports.put(report)
        )
        self._tasks: dict[tuple[int, str], Task] = {}
        self._states: Mapping[int, Studies] = {}
        self._holds_end: Mapping[TopicPartition, int] | None = None
        self._swept_s = float("-inf")

    @property
    def busy(self) -> bool:
        return bool(self._tasks) or any(state.looks for state in self._states.values())

    def close(self) -> None:
        for task in self._tasks.values():
            task.unwanted.set()
        self._pool.close()
        self._phases.close()

    def hold(self, part: str, error: Exception) -> None:
        self._outbox.hold(part, error)
        if part == "log":
            # A hold may be placed meanwhile, and the study may be somebody else's.
            for task in self._tasks.values():
                if task.work == "release":
                    task.unwanted.set()

    def collect(self) -> None:
        for entity in self._outbox.collect():
            for state in self._states.values():
                if entity in state.studies:
                    state.touch(entity)

    def decide(self, states: Mapping[int, Studies]) -> None:
        """Raises Stop, LogRefused, UnknownSchema, and whatever nobody planned for in a thread."""
        self._states, self._holds_end = states, None
        self._call_off()
        self._take_reports()
        metrics.ENTITIES_WAITING.labels(NAME).set(sum(len(state.looks) for state in states.values()))
        if self._outbox.is_held:
            return
        self._sweep()
        try:
            for state in states.values():
                self._look_around(state)
        except LogAway as error:
            self.hold("log", error)

    # Threads.

    def _call_off(self) -> None:
        """Work on a study that somebody else has by now is not wanted, nor is a release under a hold."""
        for task in self._tasks.values():
            gone = self._states.get(task.state.number) is not task.state
            if gone or (task.work == "release" and task.state.study(task.entity).holds):
                task.unwanted.set()

    def _take_reports(self) -> None:
        while True:
            try:
                task, result = self._reports.get_nowait()
            except Empty:
                return
            del self._tasks[id(task.state), task.entity]
            task.state.working.discard(task.entity)
            if self._states.get(task.state.number) is task.state:
                task.state.touch(task.entity)
                try:
                    self._take(task, result)
                except LogAway as error:
                    self.hold("log", error)  # It is worked on again.
                    return

    def _take(self, task: Task, result: Ended | Left | Awaited | BaseException) -> None:
        """Raises LogAway."""
        match result:
            case Ended() if task.state.study(task.entity).seq == task.study.seq:
                self._end(task, result)
            case Left(why) if task.plan is not None and task.plan.move.why == "recall":
                self._leave_restore(task, why)
            case Left(why):
                self._leave(task, why)
            case Awaited():
                self._await(task, result)
            case NoRoom():
                self._wait_for_room(task, result)
            case StoreAway():
                self.hold("store", result)
            case LogAway():
                self.hold("log", result)
            case BaseException() if not isinstance(result, Unwanted):
                raise result

    def _end(self, task: Task, ended: Ended) -> None:
        """Raises LogAway."""
        self._decide(task, ended)
        self._outbox.goes_on()

    def _await(self, task: Task, awaited: Awaited) -> None:
        """Raises LogAway."""
        now, began_at = self._context.clock.now(), task.study.decided_at
        if began_at is not None and now - began_at >= AWAITED_FOR:
            self._end(task, awaited.ended)
            return
        task.state.wait(task.entity, now + LOOK_AGAIN)
        self._log.info("restore_awaited", instances=awaited.instances)

    def _wait_for_room(self, task: Task, error: NoRoom) -> None:
        """This study alone: what is in the store is there, and the others go on."""
        task.state.wait(task.entity, self._context.clock.now() + LOOK_AGAIN)
        metrics.TIER_LEFT.labels("no_room").inc()
        self._log.warning("study_waits_for_room", reason=str(error), instances=task.study.instances)

    def _decide(self, task: Task, ended: Ended) -> None:
        """Raises LogAway."""
        now = self._context.clock.now()
        event = decision(task, ended, self._identity, now)
        message = self._outbox.encoded(event, ended.last.record.headers if ended.last else ())
        if size_of(message) > DECISION_BYTES_MAX:
            leave = self._leave_restore if event.why == "recall" else self._leave
            leave(task, "too_large")
            return
        if event.why == "recall" and event.phase == "abandoned" and (asked := asked_by(event)) >= 0:
            command = self._folding.command(task.state.number, asked)
            self._failed(command.record, "not every copy could be made and read back")
        self._outbox.send(task.state.number, task.entity, task.state, message)
        metrics.TIER_MOVES.labels(event.phase, event.target).inc()
        self._log.info(
            "phase_decided",
            decision=event.meta.event_id,
            phase=event.phase,
            why=event.why,
            source=event.source,
            target=event.target,
            instances=len(event.items),
        )

    def _leave_restore(self, task: Task, why: str) -> None:
        """Nothing is restored: all of it can be read, or nothing can be decided of the study as it is.

        Raises LogAway.
        """
        if why != "nothing_to_move":
            for command in task.state.restores.get(task.entity, ()):
                self._failed(command.record, why)
        task.state.settle_restores(task.entity)
        if task.study.restoring >= 0:
            self._leave(task, why)

    def _failed(self, command: Record, why: str) -> None:
        """Whoever reads dead letters hears of it, and can ask again by a redrive. Raises LogAway.

        It is in the log when this returns: no decision is to tell of the command before, and no commit to pass it.
        """
        self._log.error("restore_failed", why=why, offset=command.offset)
        letter = dead_letter(command, NAME, f"the restore failed: {why}", self._context.clock.now())
        acknowledged([self._producer.send(letter)], _SEND_S_MAX)
        metrics.DEAD_LETTERS.labels(NAME).inc()

    def _leave(self, task: Task, why: str) -> None:
        task.state.leave(task.entity, self._context.clock.now() + AGAIN)
        metrics.TIER_LEFT.labels(why).inc()
        self._log.warning("study_left", why=why, instances=task.study.instances)

    # Looking.

    def _sweep(self) -> None:
        now_s = self._context.clock.monotonic()
        if now_s - self._swept_s >= self._settings.sweep_s:
            self._swept_s = now_s
            for state in self._states.values():
                for entity in state.studies:
                    state.touch(entity)

    def _look_around(self, state: Studies) -> None:
        """Raises LogAway."""
        if not state.has_read(state.ends):
            return  # What was said before the state was loaded counts: a hold, a read.
        self._open_command(state)
        for _ in range(min(LOOKS_MAX, len(state.looks))):
            if len(self._tasks) >= self._settings.studies_at_once:
                return
            entity, _ = state.looks.popitem(last=False)
            if entity not in state.in_flight and entity not in state.working:
                self._look(state, entity)

    def _open_command(self, state: Studies) -> None:
        """A command is about everything that was written before it was read."""
        if not state.asked or state.asked[0].open is not None:
            return
        if state.asked[0].ends is None:
            names = [TopicPartition(topic, state.number) for topic in (*FACTS, MOVED)]
            bounds = self._context.log.bounds(names)
            state.asked[0].ends = {name.topic: end for name, (_, end) in bounds.items()}
        if state.has_read(state.asked[0].ends):
            state.open_command()

    def _look(self, state: Studies, entity: str) -> None:
        """Begins what is to be done next, if anything is. Raises LogAway."""
        found = next_work(self._policy, state, entity, self._context.clock.now())
        if found is None:
            state.settle(entity)
            return
        work, plan = found
        if work == "release" and not self._has_read_holds(state):
            state.touch(entity)
            return
        study = state.study(entity)
        command = None
        if plan is not None and plan.move.why == "recall":
            command = self._command(state, entity)
            if not (study.revision or study.seq):
                self._log.warning("restore_of_nothing", offset=command.record.offset)
                state.settle_restores(entity)
                return
        task = Task(
            state=state,
            entity=entity,
            study=structs.replace(study),
            work=work,
            plan=plan,
            last=state.under_way.get(entity),
            revision=state.revisions.get(entity),
            unwanted=threading.Event(),
            command=command.ref if command is not None else None,
        )
        state.working.add(entity)
        self._tasks[id(state), entity] = task
        self._pool.submit(task)

    def _command(self, state: Studies, entity: str) -> Input[TierCommand]:
        """What a restore is done for: the first command, or the one of a restore that goes on. Raises LogAway."""
        commands = state.restores.get(entity)
        return commands[0] if commands else self._folding.command(state.number, state.study(entity).restoring)

    def _has_read_holds(self, state: Studies) -> bool:
        """Whether every hold that was placed before this look is in the state. Raises LogAway."""
        if self._holds_end is None:
            names = [TopicPartition(HOLDS, number) for number in self._states]
            self._holds_end = {name: end for name, (_, end) in self._context.log.bounds(names).items()}
        return state.has_read({HOLDS: self._holds_end[TopicPartition(HOLDS, state.number)]})

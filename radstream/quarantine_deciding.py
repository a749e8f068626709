"""A person's decision on held instances: checked, written down, asked for, and waited for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import msgspec
from msgspec import structs

from consumers.validate.reasons import refusal
from radstream import quarantine_log
from radstream.errors import Failure
from radstream.options import log_answers, open_log
from radstream.quarantine_asking import Asked, Told
from radstream.quarantine_commanding import written
from radstream.quarantine_flowing import flow_by_now, none_beside, to_be_rejected
from radstream.quarantine_log import Quarantine, State
from radstream.quarantine_replacing import replaced
from radstream.quarantine_waiting import wait
from streams.config import Config, Site
from streams.events import InstanceQuarantined, QuarantineCommand
from streams.log import Log

# The record that each of many came from is read, one after the other.
READERS = 1


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """How an instance stands. `written` is false where it stood so before, and nothing was done. `replaced` are the
    digests of what flowed under its SOP Instance UID, and is rejected for it."""

    digest: str
    study_uid: str
    sop_instance_uid: str
    code: str
    action: str
    actor: str
    decided_at: datetime
    written: bool
    replaced: tuple[str, ...] = ()


class StudyDecided(msgspec.Struct, frozen=True, kw_only=True):
    """Of a study's held instances: how many were decided on now (`decided`), how many stood so before, how many were
    decided otherwise before, which stay so, and how many flow by now, because a later generation let them through.
    `replaced` are the digests of what flowed under their SOP Instance UIDs, and is rejected for them."""

    study_uid: str
    code: str | None
    action: str
    actor: str
    written: int
    stood: int
    left: int
    flow: int
    decided: tuple[Decided, ...]
    replaced: tuple[str, ...] = ()


def decide(config: Config, name: str, asked: Asked) -> Decided:
    """Asked for twice, it is written once. Raises Failure, before anything is written where it cannot be done."""
    log = open_log(config)
    with log_answers():
        found = quarantine_log.read(log)
        held = found.named(name) if asked.action == "released" or found.has(name) else to_be_rejected(config, log, name)
        if asked.action == "rejected" and name == held.instance.sop_instance_uid:
            none_beside(config, held.instance)
        last = found.last(held.instance.digest)
        if last is not None and last.action == asked.action == found.state(held.instance.digest):
            return of_command(last, written=False)
        _check(found, held, asked)
        firsts, commands = _written(config, log, found, [held], asked, _untold)
    wait(config, [*firsts, *commands], _untold)
    return structs.replace(of_command(commands[0], written=True), replaced=_digests(firsts))


def decide_study(config: Config, study_uid: str, code: str | None, asked: Asked, told: Told) -> StudyDecided:
    """All of a study that nobody has decided on, or, asked for again, that stand otherwise. Raises as `decide`."""
    log = open_log(config, READERS)
    with log_answers():
        found = quarantine_log.read(log)
        held = found.of_study(config.section("site", Site).tenant, study_uid, code)
        if not held:
            raise Failure(_nothing_of(study_uid, code))
        states = {one.instance.digest: found.state(one.instance.digest) for one in held}
        # The log of the quarantine does not say what a later generation let through.
        flow = flow_by_now(config, [digest for digest, state in states.items() if state == "open"])
        asked_for = {digest for digest, state in states.items() if digest not in flow and _is_wanted(state, asked)}
        wanted = [one for one in held if one.instance.digest in asked_for]
        stood = sum(state == asked.action for state in states.values())
        left = len(held) - len(wanted) - len(flow) - stood
        _check_all(held, wanted, left, asked)
        if len(flow) == len(held):
            raise Failure(_nothing_waits(study_uid, len(flow)))
        firsts, commands = _written(config, log, found, wanted, asked, told)
    wait(config, [*firsts, *commands], told)
    return StudyDecided(
        study_uid=study_uid,
        code=code,
        action=asked.action,
        actor=asked.actor,
        written=len(commands),
        stood=stood,
        left=left,
        flow=len(flow),
        decided=tuple(of_command(command, written=True) for command in commands),
        replaced=_digests(firsts),
    )


def _written(
    config: Config, log: Log, found: Quarantine, wanted: Sequence[InstanceQuarantined], asked: Asked, told: Told
) -> tuple[list[QuarantineCommand], list[QuarantineCommand]]:
    """What is rejected for a release, before it, and what was asked for. Raises Failure, LogAway, LogRefused."""
    firsts = replaced(config, log, wanted) if asked.action == "released" and wanted else []
    rejected = written(config, log, found, firsts, replace(asked, action="rejected"), told)
    return rejected, written(config, log, found, wanted, asked, told)


def _digests(commands: Sequence[QuarantineCommand]) -> tuple[str, ...]:
    return tuple(one.instance.digest for one in commands)


def _untold(_what: str, _done: int, _total: int) -> None:
    """One instance takes as long as it takes."""


def _nothing_of(study_uid: str, code: str | None) -> str:
    named = study_uid if code is None else f"{study_uid} as {code}"
    return f"nothing is or was held of study {named}; see: radstream quarantine list --all --study {study_uid}"


def _nothing_waits(study_uid: str, flow: int) -> str:
    return (
        f"nothing was done: what was held of study {study_uid} flows by now ({flow}): a later generation of validate "
        "let it through. To reject an image all the same, name it"
    )


def _is_wanted(state: State, asked: Asked) -> bool:
    return state == "open" or (asked.again and state != asked.action)


def _check_all(
    held: Sequence[InstanceQuarantined], wanted: Sequence[InstanceQuarantined], left: int, asked: Asked
) -> None:
    """Raises Failure where it cannot be decided so of all."""
    refused = [one for one in wanted if asked.action == "released" and refusal(one.instance, one.code)]
    if refused:
        code = refused[0].code
        raise Failure(
            f"nothing was done: {len(refused)} of {len(held)} cannot be released: one that is held as {code} cannot be "
            f"released, because {refusal(refused[0].instance, code)}. Say which can: --code, or one by one"
        )
    if not wanted and left:
        raise Failure(
            f"nothing was done: nothing waits for a decision, and {left} of {len(held)} were decided otherwise. See "
            f"why: radstream quarantine list --all --study {held[0].instance.study_uid}. To decide otherwise: --again"
        )


def _check(found: Quarantine, held: InstanceQuarantined, asked: Asked) -> None:
    """Raises Failure where it cannot be decided so."""
    if asked.action == "released" and (why := refusal(held.instance, held.code)):
        raise Failure(f"nothing was done: an instance that is held as {held.code} cannot be released, because {why}")
    last = found.last(held.instance.digest)
    if last is not None and found.state(held.instance.digest) != "open" and not asked.again:
        raise Failure(
            f"nothing was done: it was {last.action} by {last.actor} at {last.meta.occurred_at:%Y-%m-%d %H:%M}. "
            f"See why: radstream quarantine show {held.instance.digest[:16]}. To decide otherwise: --again"
        )


def of_command(command: QuarantineCommand, *, written: bool) -> Decided:
    return Decided(
        digest=command.instance.digest,
        study_uid=command.instance.study_uid,
        sop_instance_uid=command.instance.sop_instance_uid,
        code=command.code,
        action=command.action,
        actor=command.actor,
        decided_at=command.meta.occurred_at,
        written=written,
    )

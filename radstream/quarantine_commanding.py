"""Decisions on held instances, written down: the reasons, the audit, then what is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from consumers.validate.releasing import STEP
from radstream.commanding import message_of, notes_of, write
from radstream.quarantine_asking import Asked, Told
from radstream.quarantine_log import Quarantine
from radstream.quarantine_origin import Origin, origins_of
from radstream.reading import audited_each, parts_answer
from streams.clock import SystemClock
from streams.config import Config, Site
from streams.events import InstanceQuarantined, Meta, ProtectedNote, QuarantineCommand, Technical
from streams.generation import of_facts
from streams.identity import event_id
from streams.log import Log


def written(
    config: Config, log: Log, found: Quarantine, held: Sequence[InstanceQuarantined], asked: Asked, told: Told
) -> list[QuarantineCommand]:
    """A command for each. The reasons first, so that no decision is without one; then the audit. Raises Failure."""
    if not held:
        return []
    tenant = config.section("site", Site).tenant
    subjects = {one.instance.digest: _subject(found, one, asked) for one in held}
    origins, notes = origins_of(log, held), _noted(config, subjects, asked.reason, told)
    commands = [
        _command(tenant, one, subjects[digest], origins.get(digest), notes[digest], asked)
        for one in held
        if (digest := one.instance.digest)
    ]
    audited_each(config, log, f"quarantine_{asked.action}", {one.instance.digest: _said(one) for one in commands})
    what = f"{commands[0].instance.digest if len(commands) == 1 else f'{len(commands)} images'} {asked.action}"
    write(log, [message_of(config, command, STEP) for command in commands], what)
    return commands


def _subject(found: Quarantine, held: InstanceQuarantined, asked: Asked) -> str:
    """Two who decide alike at the same moment have decided once."""
    digest = held.instance.digest
    return f"{digest}/{asked.action}/{len(found.decisions.get(digest, []))}"


def _noted(config: Config, subjects: Mapping[str, str], reason: str, told: Told) -> dict[str, ProtectedNote]:
    """One reason is a note for each: notes are erased one by one."""
    notes: dict[str, ProtectedNote] = {}
    with parts_answer():
        blocks = notes_of(config)
        for digest, subject in subjects.items():
            notes[digest] = blocks.put_note(subject, reason)
            told("noted", len(notes), len(subjects))
    return notes


def _said(command: QuarantineCommand) -> dict[str, str]:
    """In the audit. The reason is not."""
    return {
        "code": command.code,
        "as": command.actor,
        "why_block": command.why.block_id,
        "study": command.instance.study_uid,
    }


def _command(
    tenant: str, held: InstanceQuarantined, subject: str, origin: Origin | None, why: ProtectedNote, asked: Asked
) -> QuarantineCommand:
    return QuarantineCommand(
        meta=Meta(
            event_id=event_id(tenant, STEP, f"command/{subject}", 0, 0),
            tenant=held.meta.tenant,
            site=held.meta.site,
            lane=held.meta.lane,
            subject=held.instance.digest,
            occurred_at=SystemClock().now(),
        ),
        # Of what was never held, nothing else says how it came.
        provenance=of_facts(STEP).provenance_of(held.provenance.inputs),
        instance=held.instance,
        object=held.object,
        technical=origin.technical if origin else Technical(),
        action=asked.action,
        code=held.code,
        actor=asked.actor,
        why=why,
        source=origin.source if origin else None,
        outside=origin.outside if origin else None,
    )

"""A person's decision on a held instance: checked, written down, asked for, and waited for."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from datetime import datetime
from typing import Literal

import msgspec

from consumers.catalog.quarantine import standing
from consumers.validate.reasons import refusal
from consumers.validate.releasing import STEP
from radstream import quarantine_log
from radstream.audit import account
from radstream.commanding import message_of, notes_of, write
from radstream.errors import Failure
from radstream.options import log_answers, open_log
from radstream.quarantine_log import Quarantine
from radstream.quarantine_origin import origin_of
from radstream.reading import audited, catalog_snapshot, parts_answer
from streams.clock import SystemClock
from streams.config import Config, Site
from streams.events import InstanceQuarantined, Meta, QuarantineCommand, Technical
from streams.generation import of_facts
from streams.identity import event_id
from streams.log import Log

Action = Literal["released", "rejected"]
SHOWN_S_MAX = 30.0
_POLL_S = 0.1
_ACTOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_REASON_MAX = 4000


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """How an instance stands. `written` is false where it stood so before, and nothing was done."""

    digest: str
    study_uid: str
    sop_instance_uid: str
    code: str
    action: str
    actor: str
    decided_at: datetime
    written: bool


def decide(config: Config, name: str, action: Action, reason: str, actor: str | None, *, again: bool) -> Decided:
    """Asked for twice, it is written once. Raises Failure, before anything is written where it cannot be done."""
    who = actor if actor is not None else account()
    if not _ACTOR.fullmatch(who):
        raise Failure("--as: an account has 1 to 64 letters, digits, or . _ @ -, a letter or digit first")
    if not 0 < len(reason.strip()) <= _REASON_MAX:
        raise Failure(f"--reason: say why, in 1 to {_REASON_MAX} characters")
    log = open_log(config)
    with log_answers():
        found = quarantine_log.read(log)
        held = found.named(name)
        last = found.last(held.instance.digest)
        if last is not None and last.action == action == found.state(held.instance.digest):
            return _of(last, written=False)
        _check(found, held, action, again=again)
        command = _command(config, log, found, held, action, reason.strip(), who)
        write(log, [message_of(config, command, STEP)], f"{held.instance.digest} {action}")
    _wait(config, command)
    return _of(command, written=True)


def _check(found: Quarantine, held: InstanceQuarantined, action: Action, *, again: bool) -> None:
    """Raises Failure where it cannot be decided so."""
    if action == "released" and (why := refusal(held.instance, held.code)):
        raise Failure(f"nothing was done: an instance that is held as {held.code} cannot be released, because {why}")
    last = found.last(held.instance.digest)
    if last is not None and found.state(held.instance.digest) != "open" and not again:
        raise Failure(
            f"nothing was done: it was {last.action} by {last.actor} at {last.meta.occurred_at:%Y-%m-%d %H:%M}. "
            f"See why: radstream quarantine show {held.instance.digest[:16]}. To decide otherwise: --again"
        )


def _command(
    config: Config, log: Log, found: Quarantine, held: InstanceQuarantined, action: Action, reason: str, who: str
) -> QuarantineCommand:
    """The reason first, so that no decision is without it; then the audit. Raises Failure."""
    digest, site = held.instance.digest, config.section("site", Site)
    # Two who decide alike at the same moment have decided once.
    subject = f"{digest}/{action}/{len(found.decisions.get(digest, []))}"
    origin = origin_of(log, held)
    with parts_answer():
        why = notes_of(config).put_note(subject, reason)
    said = {"code": held.code, "as": who, "why_block": why.block_id, "study": held.instance.study_uid}
    audited(config, log, f"quarantine_{action}", digest, said)
    return QuarantineCommand(
        meta=Meta(
            event_id=event_id(site.tenant, STEP, f"command/{subject}", 0, 0),
            tenant=held.meta.tenant,
            site=held.meta.site,
            lane=held.meta.lane,
            subject=digest,
            occurred_at=SystemClock().now(),
        ),
        provenance=of_facts(STEP).provenance(),
        instance=held.instance,
        object=held.object,
        technical=origin.technical if origin else Technical(),
        action=action,
        code=held.code,
        actor=who,
        why=why,
        source=origin.source if origin else None,
        outside=origin.outside if origin else None,
    )


def _of(command: QuarantineCommand, *, written: bool) -> Decided:
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


def _wait(config: Config, command: QuarantineCommand) -> None:
    """Until the catalog shows what was asked for: the decision, and of a release that the instance flows."""
    until_s = time.monotonic() + SHOWN_S_MAX
    while time.monotonic() < until_s:
        # What is in the log is decided, also where the catalog went away since.
        with suppress(Failure), catalog_snapshot(config) as cursor:
            now = standing(cursor, command.meta.tenant, command.instance.digest)
            flows = now.verdict not in (None, "quarantined")
            if now.decision == command.action and flows == (command.action == "released"):
                return
        time.sleep(_POLL_S)
    raise Failure(
        f"{command.instance.digest} is {command.action}: it is in the log, and will be done. The catalog has not shown "
        f"it in {SHOWN_S_MAX:.0f} s; see whether the services run: radstream lag validate, radstream lag catalog"
    )

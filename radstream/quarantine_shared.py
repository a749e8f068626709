"""Rejects images of a study whose SOP Instance UIDs another study has: it was sent again under another UID."""

from __future__ import annotations

from consumers.catalog.elsewhere import flowing
from radstream import quarantine_log
from radstream.errors import Failure
from radstream.options import log_answers, open_log
from radstream.quarantine_asking import Asked, Told
from radstream.quarantine_commanding import written
from radstream.quarantine_deciding import READERS, StudyDecided, of_command
from radstream.quarantine_flowing import each_to_be_rejected
from radstream.quarantine_waiting import wait
from radstream.reading import catalog_snapshot
from streams.config import Config, Site


def reject_shared(config: Config, study_uid: str, asked: Asked, told: Told) -> StudyDecided:
    """The other study's images stay as they are. Raises Failure, before anything is written where none is shared."""
    log = open_log(config, READERS)
    with log_answers():
        tenant = config.section("site", Site).tenant
        with catalog_snapshot(config) as cursor:
            images = flowing(cursor, tenant, study_uid)
        if not images:
            raise Failure(
                f"nothing was done: no image of study {study_uid} that flows has the SOP Instance UID of an image of "
                f"another study; see: radstream study {study_uid}"
            )
        found = quarantine_log.read(log)
        wanted = [found.events.get(one.instance.digest, one) for one in each_to_be_rejected(log, tenant, images)]
        commands = written(config, log, found, wanted, asked, told)
    wait(config, commands, told)
    return StudyDecided(
        study_uid=study_uid,
        code=None,
        action=asked.action,
        actor=asked.actor,
        written=len(commands),
        stood=0,
        left=0,
        flow=0,
        decided=tuple(of_command(command, written=True) for command in commands),
    )

"""The command that brings a study back out of an archive, as the gateway's readers and people at a terminal give it."""

from __future__ import annotations

import uuid
from typing import Final

from streams.clock import Clock
from streams.config import Site
from streams.events import TierCommand
from streams.generation import meta_of_fact, of_facts

STEP: Final = "restore"


def restore_of(site: Site, clock: Clock, study_uid: str, actor: str) -> TierCommand:
    """`actor` is who asks: an account, an AE title or an address."""
    return TierCommand(
        meta=meta_of_fact(site, clock, STEP, str(uuid.uuid4())),
        provenance=of_facts(STEP).provenance(),
        now=clock.now(),
        simulated=False,
        actor=actor,
        study_uid=study_uid,
        ask="restore",
    )

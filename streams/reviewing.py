"""A review: what a person says of a model's result, as a terminal and a page both say it."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import Literal, get_args

from streams.clock import Clock
from streams.config import Site
from streams.events import ProtectedNote, ReviewEvent
from streams.generation import meta_of_fact, of_facts
from streams.protected import ProtectedBlocks

Verdict = Literal["confirmed", "rejected", "modified"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

STEP = "review"
NOTE_CHARACTERS_MAX = 4000
_REVIEWER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
REVIEWER_SHAPE = "an account has 1 to 64 letters, digits, or . _ @ -, a letter or digit first"


@dataclass(frozen=True)
class Said:
    """What a person says of a result of a study, or of one finding of it.

    Raises ValueError, which says what to write.
    """

    study_uid: str
    result_event_id: str
    verdict: Verdict
    reviewer: str
    finding_id: str | None = None
    note: str | None = None

    def __post_init__(self) -> None:
        if not _REVIEWER.fullmatch(self.reviewer):
            raise ValueError(f"reviewer: {REVIEWER_SHAPE}")
        if self.note is not None and not 0 < len(self.note.strip()) <= NOTE_CHARACTERS_MAX:
            raise ValueError(f"note: 1 to {NOTE_CHARACTERS_MAX} characters")

    def event(self, site: Site, clock: Clock, notes: ProtectedBlocks) -> ReviewEvent:
        """The review to write, its note stored: no review is without the note that it names. Raises as `put_note`."""
        subject = f"{self.result_event_id}/{uuid.uuid4()}"
        kept: ProtectedNote | None = None
        if self.note is not None:
            kept = notes.put_note(subject, self.note.strip())
        return ReviewEvent(
            meta=meta_of_fact(site, clock, STEP, subject),
            provenance=of_facts(STEP).provenance(),
            study_uid=self.study_uid,
            result_event_id=self.result_event_id,
            verdict=self.verdict,
            reviewer=self.reviewer,
            finding_id=self.finding_id,
            note=kept,
        )

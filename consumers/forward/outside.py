"""A study from outside goes on under its identity here, and not before a person has said whose it is.

From outside is a study, not an image: whoever brings another image of it, that one has the same patient's numbers
(docs/decisions/0092).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from streams.coercion import Uncoercible, coerced
from streams.dimse.stored import Stored, of_file
from streams.events import ImportDecision, InstanceValidated
from streams.events import Outside as Origin
from streams.import_decisions import ImportDecisions
from streams.log import LogAway, LogRefused
from streams.objects import StoreAway
from streams.outside_studies import OutsideStudies
from streams.protected import Erased, ProtectedBlocks
from streams.step import RetryLater


@dataclass(frozen=True)
class NotSent:
    """Why it does not go. What nobody has reconciled yet `waits`: it is sent when somebody does."""

    code: str
    detail: str
    waits: bool = False


_WAITS = NotSent(
    "not_reconciled",
    "It is from outside, and whose it is here is not decided; it is sent when it is: radstream imports reconcile.",
    waits=True,
)
_ERASED = NotSent("identity_erased", "Whose it is here was decided, and erased since.")


@dataclass(frozen=True)
class Here:
    """An instance as it is sent, and the decision that it is sent by.

    `was_another`: it may have been sent before under another identity, or as it came.
    """

    stored: Stored
    decision: ImportDecision
    was_another: bool


class Outside:
    """Used from several threads."""

    def __init__(
        self,
        studies: OutsideStudies,
        decisions: ImportDecisions,
        blocks: ProtectedBlocks,
        objects_folder: Path | None = None,
    ) -> None:
        """What is large lies in `objects_folder` while it is sent (`streams.reading_large`)."""
        self._studies = studies
        self._decisions = decisions
        self._blocks = blocks
        self._objects_folder = objects_folder

    def look(self) -> RetryLater | None:
        """To be asked once whoever is to be sent has been read: what was known before it of its study is known then."""
        try:
            self._studies.read_on()
        except LogAway:
            return RetryLater("the log does not answer", "world")
        except LogRefused as error:
            return RetryLater(f"the log does not say which studies are from outside ({error})", "world")
        return None

    def decided(self, event: InstanceValidated) -> ImportDecision | NotSent | RetryLater | None:
        """Who says whose it is here; None for what was made here, or is as it came because nobody says otherwise."""
        came = self._origin(event)
        try:
            decision = self._decisions.of(event.instance.study_uid, up_to_now=came is not None)
        except LogAway:
            return RetryLater("the log does not answer", "world")
        except LogRefused as error:
            # It is not this image's fault, and whoever gives the account its rights should find nothing given up.
            return RetryLater(f"the log does not say whose studies from outside are ({error})", "world")
        if decision is not None and decision.identity is not None:
            return decision
        return None if came is None else _WAITS

    def here(self, event: InstanceValidated, stored: Stored, decision: ImportDecision) -> Here | NotSent | RetryLater:
        """Raises what `ProtectedBlocks.read` does of a block that cannot be opened, NoRoom."""
        assert decision.identity is not None  # noqa: S101 - `decided` gives no other
        try:
            identity = self._blocks.read(decision.identity)
        except StoreAway:
            return RetryLater("the store does not answer", "world")
        if isinstance(identity, Erased):
            return _ERASED
        came = self._origin(event)
        try:
            issuer, at = came.issuer if came else "", decision.meta.occurred_at
            file = coerced(stored.data, identity, issuer, at, self._objects_folder)
        except Uncoercible as error:
            return NotSent("not_coercible", f"It cannot be written under its identity here ({error}).")
        made = of_file(file, event.instance, self._objects_folder)
        if not isinstance(made, Stored):
            return NotSent("not_coercible", "It cannot be written under its identity here (unreadable).")
        was_another = event.outside is None or self._decisions.has_changed(event.instance.study_uid)
        stored = replace(made, sop_class=stored.sop_class, sop_instance=stored.sop_instance)
        return Here(stored, decision, was_another)

    def _origin(self, event: InstanceValidated) -> Origin | None:
        """As its sender says, or that of an image which came before."""
        return event.outside or self._studies.of(event.meta.tenant, event.instance.study_uid)

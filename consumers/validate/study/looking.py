"""One look at a revision of a study: its instances, what was taken out of it, and who is a stranger in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

from consumers.validate.study.decided import Decided
from consumers.validate.study.header import Header
from consumers.validate.study.identity import strangers, voters_of
from consumers.validate.study.reading import Beginnings, Reading, by_series
from streams.events import StudyRevision
from streams.step import Input


@dataclass(frozen=True)
class Look:
    """Digests are `inside` the revision, or `out` of it and were in one before. Without `knows_whose`, who would say
    whose the study is cannot be read."""

    item: Input[StudyRevision]
    decided: Decided
    inside: set[str]
    out: set[str]
    read: Beginnings
    held: list[Header]
    knows_whose: bool

    @cached_property
    def compared(self) -> set[str]:
        return {one.digest for one in self.read.headers if one.digest in self.inside}

    @cached_property
    def rest(self) -> list[Header]:
        """An instance that is held is of another study in all but name: what else differs in it is no news."""
        away = {one.digest for one in self.held}
        return [one for one in self.read.headers if one.digest in self.inside and one.digest not in away]

    @cached_property
    def series(self) -> dict[str, list[Header]]:
        return by_series(self.rest)


def seen(item: Input[StudyRevision], decided: Decided, reading: Reading) -> Look:
    """Raises Absent where the list of instances is in no store, StoreAway."""
    event = item.event
    inside = reading.of(event)

    @cache
    def listed(number: int) -> set[str] | None:
        return inside if number == event.revision else reading.listed(event, number)

    # What was in the study before: held, it still says whose the study is not, and that is to go on being said until a
    # person has decided.
    gone_from = range(1, event.revision) if event.removals else ()
    out = set().union(*(listed(number) or () for number in gone_from)) - inside - decided.rejected
    # Who votes, and whom a person has let in: all others are compared with them.
    first = (listed(1) or set()) | decided.released
    read = reading.beginnings(event, inside | out, first)
    revisions = (listed(number) for number in range(1, event.revision + 1))
    voters = voters_of(revisions, inside, read.headers, read.unread, decided)
    held = strangers(read.headers, voters or (), inside, decided)
    return Look(item, decided, inside, out, read, held, knows_whose=voters is not None)

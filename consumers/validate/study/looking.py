"""One look at a revision of a study: its instances, what was taken out of it, and who is a stranger in it."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from functools import cached_property

from consumers.validate.study.contents import Compared, Contents, Named
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
    inside: Set[str]
    out: Set[str]
    read: Beginnings
    held: list[Header]
    knows_whose: bool
    contents: Contents

    @cached_property
    def waiting(self) -> list[Header]:
        """Those that wait for a person: also what was held before, once the study is of its patient or nobody's."""
        away = {one.digest for one in self.held} | (self.out - self.decided.released - self.contents.away)
        return [one for one in self.read.headers if one.digest in away]

    @cached_property
    def compared(self) -> set[str]:
        return {one.digest for one in self.read.headers if one.digest in self.inside}

    @cached_property
    def rest(self) -> list[Header]:
        """An instance that is held is of another study in all but name: what else differs in it is no news."""
        away = {one.digest for one in self.held} | self.contents.away
        return [one for one in self.read.headers if one.digest in self.inside and one.digest not in away]

    @cached_property
    def series(self) -> dict[str, list[Header]]:
        return by_series(self.rest)


class _Lists:
    """Digests of each revision up to one. A list is read once, when it is asked for, and kept as what is new in it:
    a study may have hundreds of revisions, each with nearly all of the one before."""

    def __init__(self, event: StudyRevision, inside: Set[str], reading: Reading) -> None:
        self._event, self._inside, self._reading = event, inside, reading
        self._new: list[Set[str] | None] = []
        self._known: set[str] = set()

    def new_in(self, number: int) -> Set[str] | None:
        """What no revision before had; None where its list is not there."""
        while len(self._new) < number:
            listed = self._listed(len(self._new) + 1)
            self._new.append(listed - self._known if listed is not None else None)
            self._known |= listed or frozenset()
        return self._new[number - 1]

    def until(self, number: int) -> Set[str]:
        """All that the revisions up to one had, of those whose lists are there."""
        return frozenset().union(*(self.new_in(one) or () for one in range(1, number + 1)))

    def _listed(self, number: int) -> Set[str] | None:
        return self._inside if number == self._event.revision else self._reading.listed(self._event, number)


def seen(item: Input[StudyRevision], decided: Decided, reading: Reading, compared: Compared) -> Look:
    """Raises Absent where the list of instances is in no store, StoreAway, LogAway, LogRefused."""
    event = item.event
    inside = reading.of(event)
    lists = _Lists(event, inside, reading)
    # What was in the study before: held, it still says whose the study is not, and that is to go on being said until a
    # person has decided.
    before = lists.until(event.revision - 1) if event.removals else frozenset()
    out = before - inside - decided.rejected
    # Who votes, and whom a person has let in: all others are compared with them.
    first = (lists.new_in(1) or frozenset()) | decided.released
    read = reading.beginnings(event, inside | out, first)
    revisions = (lists.new_in(number) for number in range(1, event.revision + 1))
    voters = voters_of(revisions, inside, read.headers, read.unread, decided)
    held = strangers(read.headers, voters or (), inside, decided)
    more = {one.digest for one in read.named_twice}
    others = [one for one in read.others if one.digest not in more]
    every: list[Named] = [*read.headers, *read.named_twice, *others]
    contents = compared.among(event, every, inside, held, decided, lists.new_in)
    return Look(item, decided, inside, out, read, held, voters is not None, contents)

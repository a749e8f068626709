"""Several contents of one SOP Instance UID in a study (PS3.3 section C.12.1): the first received is the study's, each
other one that is another image waits for a person (docs/decisions/0093).

First is what an earlier revision of the study has; among those that are new in one, what came first. What is one image,
written twice, is no other content.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from consumers.validate.study.decided import Decided
from consumers.validate.study.header import Header
from consumers.validate.study.reading import Reading
from streams.events import NamedInstance, StudyRevision
from streams.identity import partition_key
from streams.log import Log
from streams.one_image import Said
from streams.receipts import receipts_of

# From its arrival to its verdict, while validate is behind; what came sooner is found, too, and slowly.
_BEHIND_MAX = timedelta(days=1)
_NOT_KNOWN = datetime.max.replace(tzinfo=UTC)

Named = Header | NamedInstance
# The number of an instance's first revision, when it came, and its digest.
Place = tuple[int, datetime, str]
# The digests that no revision had before one of this number; None where its list is not there.
NewIn = Callable[[int], Set[str] | None]


@dataclass(frozen=True)
class Contents:
    """`second` are to be held, `waiting` are held already. `about` are they and what they stand beside, and what a
    person has let go beside another."""

    second: Sequence[Header] = ()
    waiting: Sequence[Header] = ()
    about: Sequence[Named] = ()

    @property
    def away(self) -> set[str]:
        return {one.digest for one in (*self.second, *self.waiting)}


class Compared:
    """Safe for many threads."""

    def __init__(self, log: Log, reading: Reading) -> None:
        self._log, self._reading = log, reading
        self._said = Said()

    def among(
        self,
        event: StudyRevision,
        every: Sequence[Named],
        inside: Set[str],
        strangers: Sequence[Header],
        decided: Decided,
        new_in: NewIn,
    ) -> Contents:
        """Of `every` instance that is `inside` the revision, or was taken out of it, but for another patient's.

        Raises LogAway, LogRefused, StoreAway.
        """
        named: dict[str, list[Named]] = defaultdict(list)
        strange = {one.digest for one in strangers}
        for one in every:
            if one.digest not in strange:
                named[one.sop_instance_uid].append(one)
        several = {uid: members for uid, members in named.items() if len(members) > 1 or uid in decided.rejected_uids}
        if not several:
            return Contents()
        of_one = [[one for one in members if one.digest in inside] for members in several.values()]
        places = self._places(event, of_one, new_in)
        others = [one for members in of_one for one in self._others(members, places)]
        second = [one for one in others if isinstance(one, Header) and one.digest not in decided.let_go]
        settled = inside | decided.let_go
        out = (one for members in several.values() for one in members if isinstance(one, Header))
        waiting = [one for one in out if one.digest not in settled]
        named_so = {one.sop_instance_uid for one in (*others, *waiting)}
        return Contents(second, waiting, [one for uid in named_so for one in several[uid]])

    def _others(self, members: Sequence[Named], places: Mapping[str, Place]) -> Iterator[Named]:
        """Of the contents of one UID those that are another image than each before them."""
        kept: list[Named] = []
        for one in sorted(members, key=lambda one: places.get(one.digest, ())):
            if not kept or any(self._is_one_image(one, other) for other in kept):
                kept.append(one)
            else:
                yield one

    def _is_one_image(self, one: Named, other: Named) -> bool:
        """What cannot be read is not known to be."""
        if not (isinstance(one, Header) and isinstance(other, Header)):
            return False
        reads = (partial(self._reading.whole, one.ref), partial(self._reading.whole, other.ref))
        return self._said.are_one(one.digest, reads[0], other.digest, reads[1])

    def _places(self, event: StudyRevision, of_one: Sequence[Sequence[Named]], new_in: NewIn) -> dict[str, Place]:
        """By digest. For ever the same. The log is asked of those that are new in one revision alone."""
        numbers: dict[str, int] = {}
        asked: set[str] = set()
        for digests in [{one.digest for one in members} for members in of_one if len(members) > 1]:
            for number in range(1, event.revision + 1):
                new = digests & (new_in(number) or frozenset())
                numbers |= dict.fromkeys(new, number)
                asked |= new if len(new) > 1 else set()
        since = event.first_received_at - _BEHIND_MAX
        key = partition_key(event.meta.tenant, event.study_uid)
        came = receipts_of(self._log, key, asked, since) if asked else {}
        at = {digest: item.event.meta.occurred_at for digest, item in came.items()}
        return {digest: (number, at.get(digest, _NOT_KNOWN), digest) for digest, number in numbers.items()}

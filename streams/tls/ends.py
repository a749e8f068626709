"""What ends: certificates, authorities, revocation lists. To be seen before something stops at midnight."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

# As many as a person reads.
_SENTENCES_MAX: Final = 10
# From here on a person is told.
SOON: Final = timedelta(days=30)
_OURS: Final = {
    "certificate": "the certificate in [{section}]",
    "ca": "a root or authority in [{section}] ca",
    "crl": "the revocation list in [{section}]",
}


@dataclass(frozen=True)
class End:
    """`what` is certificate, ca, crl, peer_certificate or exception; `whose` is how a sentence begins."""

    what: str
    whose: str
    at: datetime

    def days_left(self, now: datetime) -> float:
        return (self.at - now) / timedelta(days=1)

    def sentence(self, now: datetime) -> str:
        left = self.at - now
        if left <= timedelta(0):
            return f"{self.whose} ended on {self.at:%Y-%m-%d}"
        return f"{self.whose} ends on {self.at:%Y-%m-%d}, in {left.days} days"


def ends_of_ours(ends_at: Iterable[tuple[str, datetime]], section: str) -> Iterator[End]:
    """Of the files of a section of the configuration: certificate, ca, crl."""
    return (End(what, _OURS[what].format(section=section), at) for what, at in ends_at)


def first_of_each(section: str, ends: Iterable[End], now: datetime) -> Mapping[tuple[str, str], float]:
    """Days left, by the section and what ends."""
    found: dict[tuple[str, str], float] = {}
    for end in ends:
        found[section, end.what] = min(end.days_left(now), found.get((section, end.what), float("inf")))
    return found


def soon(ends: Iterable[End], now: datetime, more: str) -> str:
    """What ends soon, in sentences for a person, the first one first; `more` is where to see those beyond a few."""
    found = sorted((end for end in ends if end.at - now < SOON), key=lambda end: end.at)
    said = [end.sentence(now) for end in found[:_SENTENCES_MAX]]
    if beyond := len(found) - len(said):
        said.append(f"and {beyond} more: {more}")
    return "; ".join(said)

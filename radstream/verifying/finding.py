"""What can be wrong with the archive, and what a person does then."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal[
    "changed",
    "swapped",
    "lost",
    "unreadable",
    "unchained",
    "broken_link",
    "bad_signature",
    "head_missing",
    "derived_changed",
    "derived_lost",
]
# Of a file whose bytes have changed. `header` is preamble and group 0002, `cut` that its end is missing.
Part = Literal["metadata", "pixels", "header", "structure", "cut", "unknown"]

_MEND = {
    "changed": "move the damaged version out of the bucket with the store's own tools, keep it, and copy the good one "
    "to its key",
    "lost": "copy the good one to the key that is empty",
}
_NONE_LEFT = (
    "No good copy was found in the stores that were looked at: look at all of them (--store all), then take it from a "
    "backup of your own, or have the sender send it again"
)
NEXT: dict[Kind, str] = {
    "unreadable": "The store does not give these bytes: see its own log and its disks, then verify again",
    "unchained": "See whether the service chains runs (radstream status), and how far it is: radstream lag chains",
    "broken_link": "Records were changed or taken out of the log: compare it with its raw archive, and find out who "
    "can write to imaging.study.chain",
    "bad_signature": "Whoever wrote this head has not the key of this site, or the public key is missing in [chains] "
    "public_file: radstream verify --show-keys prints those of this site",
    "head_missing": "See whether the service chains runs and can use its key (radstream doctor); if so, find out who "
    "can delete from the log",
    "derived_changed": "It can be made again from its original: radstream replay run derive --study UID",
    "derived_lost": "It can be made again from its original: radstream replay run derive --study UID",
}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong. `good` names the stores that hold the right bytes; `next` is what to do."""

    kind: Kind
    text: str
    next: str
    study_uid: str | None = None
    series_uid: str | None = None
    sop_instance_uid: str | None = None
    store: str | None = None
    key: str | None = None
    version_id: str | None = None
    part: Part | None = None
    good: tuple[str, ...] = ()


def next_of_copy(kind: Kind, good: tuple[str, ...], asleep: tuple[str, ...], study_uid: str) -> str:
    """What to do about a copy, with those that are good, and those in archives, of which nobody knows that."""
    if kind in NEXT:
        return NEXT[kind]
    if not good and asleep:
        return (
            f"Its copy in {', '.join(asleep)} was not read: radstream tier restore {study_uid} brings it back, then "
            "verify again"
        )
    if not good:
        return _NONE_LEFT
    mend = _MEND["lost" if kind == "lost" else "changed"]
    return f"A good copy is in {', '.join(good)}, and readers get that one; {mend}"


class Report(msgspec.Struct, kw_only=True):
    """What was looked at, and what is wrong. `waiting` are too young to be in a chain or signed, and `archived` copies
    in the archives that `[store] archived` names, which are there and cannot be read before they are restored.

    Of `unlinked` images, which are in no chain, and of `held` ones, which never are, the bytes were checked against
    their events.
    """

    studies: int = 0
    links: int = 0
    unlinked: int = 0
    held: int = 0
    heads: int = 0
    copies: int = 0
    archived: int = 0
    bytes: int = 0
    derived: int = 0
    waiting: int = 0
    without_metadata: int = 0
    findings: list[Finding] = []
    stores: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        return not self.findings

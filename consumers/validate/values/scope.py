"""Where an element stands, and what holds for it there."""

from __future__ import annotations

from dataclasses import dataclass, field

from consumers.validate.values.charsets import ASCII, Repertoire


@dataclass(slots=True)
class Scope:
    """A data set: the top level, or one item. `place` is what holds it, the sequence's tag and the item's number.

    `blocks` are the private blocks that have a creator here, as (group, block) in one number.
    """

    place: tuple[Scope, int, int] | None = None
    repertoire: Repertoire = ASCII
    blocks: set[int] = field(default_factory=set)

    def path(self, tag: int) -> str:
        """Where an element of it stands: `0040,A730[2]/0008,0100`."""
        said = f"{tag >> 16:04X},{tag & 0xFFFF:04X}"
        if self.place is None:
            return said
        outer, sequence, number = self.place
        return f"{outer.path(sequence)}[{number}]/{said}"

    def kind(self, tag: int) -> tuple[int, ...]:
        """The tags on the way to an element, without numbers of items."""
        if self.place is None:
            return (tag,)
        outer, sequence, _ = self.place
        return (*outer.kind(sequence), tag)

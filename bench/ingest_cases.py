"""What is sent to each receiver: which image, over how many associations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Image = Literal["ct", "cr"]

# A CR image has sixteen times the bytes of a CT image, and a case takes as long as it has bytes.
_CT_FOR_A_CR: Final = 8
# With an association for each instance, so many senders are at work at once.
_SENDERS_OF_SINGLES: Final = 4


@dataclass(frozen=True)
class Case:
    """`one_each` opens an association for each instance; `associations` are then those that are open at once.

    `contexts` is how many presentation contexts an association proposes: a modality of one SOP class proposes one, a
    workstation up to 128.
    """

    name: str
    image: Image
    associations: int
    one_each: bool = False
    contexts: int = 1

    def instances(self, ct_instances: int) -> int:
        """How many are sent where a CT case has `ct_instances`."""
        return ct_instances if self.image == "ct" else max(self.associations, ct_instances // _CT_FOR_A_CR)


def _of(image: Image) -> list[Case]:
    several = [Case(f"{image}-{associations}", image, associations) for associations in (1, 4, 16)]
    return [*several, Case(f"{image}-each", image, _SENDERS_OF_SINGLES, one_each=True)]


CASES: Final = {
    case.name: case
    for case in (
        *_of("ct"),
        Case("ct-each-128", "ct", _SENDERS_OF_SINGLES, one_each=True, contexts=128),
        *_of("cr"),
    )
}
QUICK: Final = ("ct-1", "ct-4", "ct-each", "cr-1")

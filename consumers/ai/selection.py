"""Which images a model is for."""

from __future__ import annotations

from typing import Literal

from streams.config import Section
from streams.events import Technical

Unit = Literal["series", "instance"]


class Selection(Section, frozen=True, kw_only=True):
    """What is left empty asks for nothing. `unit` says what is analysed at once.

    `body_parts` are defined terms of Body Part Examined (0018,0015), `modalities` of Modality (0008,0060). An image
    that names no body part is taken: the attribute is often absent (Type 3, PS3.3 section C.7.3.1). A series of fewer
    than `images_min` images is out of scope: with a localiser nothing can be said of a chest.
    """

    unit: Unit = "series"
    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    sop_classes: tuple[str, ...] = ()
    images_min: int = 1

    def takes(self, sop_class_uid: str, technical: Technical) -> bool:
        """Whether one image, as its events describe it, is one for the model."""
        return (
            _is_one_of(sop_class_uid, self.sop_classes)
            and _is_one_of(technical.modality, self.modalities)
            and (technical.body_part is None or _is_one_of(technical.body_part, self.body_parts))
        )


def _is_one_of(value: str | None, wanted: tuple[str, ...]) -> bool:
    return not wanted or value in wanted

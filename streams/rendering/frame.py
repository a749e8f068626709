"""A frame as a picture file, on request."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.rendering.files import File, Format, encoded, picture_of
from streams.rendering.notice import text_of
from streams.rendering.render import Choice, Wanted, shown
from streams.rendering.source import Source

SIDE_PX_MAX = 16_383


@dataclass(frozen=True)
class Asked:
    """At most `side_px` on the longest side; as many pixels as are stored where it is None. Raises ValueError."""

    wanted: Wanted = field(default_factory=Wanted)
    format: Format = "png"
    side_px: int | None = None

    def __post_init__(self) -> None:
        if self.side_px is not None and not 1 <= self.side_px <= SIDE_PX_MAX:
            raise ValueError(f"a picture has 1 to {SIDE_PX_MAX} pixels a side")
        if self.wanted.depth == 16 and self.format != "png":
            raise ValueError("only PNG has 16 bits a sample")


@dataclass(frozen=True)
class Rendered:
    """`voi`, `for_processing` and `notes` are those of `streams.rendering.render.Shown`."""

    file: File
    voi: Choice
    for_processing: bool
    notes: tuple[str, ...]


def rendered(source: Source, asked: Asked) -> Rendered:
    """Renders and encodes one frame. Raises NotRendered."""
    frame = shown(source, asked.wanted)
    picture = picture_of(frame, asked.side_px)
    file = encoded(picture, asked.format, text_of(for_processing=frame.for_processing))
    return Rendered(file, frame.voi, frame.for_processing, frame.notes)

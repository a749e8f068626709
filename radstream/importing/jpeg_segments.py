"""A JPEG picture (ITU-T T.81) as far as its marker segments go: how it is coded, and what else it carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from radstream.importing.made import Refused

_SOS, _COM = 0xDA, 0xFE
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_APP0, _APP14, _APPS = 0xE0, 0xEE, range(0xE0, 0xF0)
BASELINE: Final = 0xC0


@dataclass(frozen=True)
class Jpeg:
    """`process` is the marker of its frame header. `sampling` has (horizontal, vertical) for each component.

    `stream` are the same pixels without Exif, comments and what else describes the picture: that can name people and
    places, and readers of DICOM do not look there.
    """

    process: int
    bits: int
    rows: int
    columns: int
    sampling: tuple[tuple[int, int], ...]
    rgb: bool
    stream: bytes

    @property
    def photometric(self) -> str:
        """As DICOM names these components: one term for what is no RGB, however it is sampled (PS3.5 section 8.2.1)."""
        if len(self.sampling) == 1:
            return "MONOCHROME2"
        return "RGB" if self.rgb else "YBR_FULL_422"


def read(data: bytes) -> Jpeg:
    """Raises Refused where it is no JPEG picture or ends too early."""
    kept, frame, transform, at = [b"\xff\xd8"], b"", None, 2
    process = 0
    while True:
        marker, end = _segment(data, at)
        if marker in _FRAMES:
            process, frame = marker, data[at + 4 : end]
        if marker == _APP14 and data[at + 4 : at + 9] == b"Adobe" and end - at >= 16:
            transform = data[at + 15]
        if marker == _SOS:
            break
        if marker in (_APP0, _APP14) or (marker != _COM and marker not in _APPS):
            kept.append(data[at:end])
        at = end
    if len(frame) < 6 or len(frame) < 6 + 3 * frame[5]:
        raise Refused("it has no frame header before its first scan; it is no whole JPEG picture")
    # No scan holds these two bytes (T.81 section B.1.1.5); cameras put more pictures behind the first.
    last = data.find(b"\xff\xd9", at)
    if last < 0:
        raise Refused("it does not end as a JPEG picture does; it was cut off")
    parts = [frame[6 + 3 * nth : 9 + 3 * nth] for nth in range(frame[5])]
    named_rgb = bytes(part[0] for part in parts) == b"RGB"
    return Jpeg(
        process=process,
        bits=frame[0],
        rows=int.from_bytes(frame[1:3], "big"),
        columns=int.from_bytes(frame[3:5], "big"),
        sampling=tuple((part[1] >> 4, part[1] & 15) for part in parts),
        rgb=transform == 0 or (transform is None and named_rgb),
        stream=b"".join((*kept, data[at : last + 2])),
    )


def _segment(data: bytes, at: int) -> tuple[int, int]:
    """The marker at this place, and where its segment ends. Raises Refused."""
    if at + 4 > len(data) or data[at] != 0xFF:
        raise Refused("its marker segments do not hold; it is no JPEG picture, or damaged")
    end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    if end > len(data) or end < at + 4:
        raise Refused("its marker segments do not hold; it is no JPEG picture, or damaged")
    return data[at + 1], end

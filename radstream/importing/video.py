"""MP4 video as an object: the container is the pixel data, as it is (PS3.5 sections 8.2.7 to 8.2.11)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.valuerep import format_number_as_ds

from radstream.importing.libraries import library
from radstream.importing.made import Encapsulated, How, Made, Refused, Source
from radstream.importing.objects import OBJECT_BYTES_MAX, VISIBLE_LIGHT, described, lossy, visible_light

_H264_4_1: Final = "1.2.840.10008.1.2.4.102"
_H264_4_2: Final = "1.2.840.10008.1.2.4.104"
_HEVC_MAIN: Final = "1.2.840.10008.1.2.4.107"
# A decoder of High Profile decodes these too (ITU-T H.264 section A.2.4); one of Baseline's own it need not.
_H264_PROFILES: Final = ("High", "Main", "Constrained Baseline")
_HEVC_LEVEL_MAX: Final = 153  # 5.1, in thirtieths
_SOUND: Final = frozenset({"aac", "mp3", "ac3"})
# ffmpeg turns pictures upright as it encodes them.
_AGAIN: Final = "encode it again (ffmpeg -i IN.mp4 -c:v libx264 -profile:v high -level 4.1 -pix_fmt yuv420p OUT.mp4)"
_METHODS: Final = {"h264": "ISO_14496_10", "hevc": "ISO_23008_2"}


@dataclass(frozen=True)
class _Video:
    codec: str
    profile: str
    level: int
    pixel_format: str
    rows: int
    columns: int
    frames: int
    frame_ms: float
    sound: tuple[str, ...]
    created: datetime | None


def source(path: Path, digest: str, how: How) -> Source:
    """Raises Refused."""
    if path.stat().st_size > OBJECT_BYTES_MAX:
        raise Refused("it is more than the 1 GB that the router takes as one object; cut it into parts")
    video = _looked_at(path)
    _transfer_syntax(video)
    if _is_turned(path):
        raise Refused(
            f"it was held turned or is mirrored, which no DICOM object of video says: {_AGAIN}, which turns it"
        )
    as_ = "endoscopy" if how.as_ == "endoscopy" else "photo"
    said = ["what the container says beside pictures stays in it"]
    if video.sound:
        said.append("it has sound, which stays in it")
    return Source(
        path=path,
        format="MP4",
        digest=digest,
        modality=VISIBLE_LIGHT[as_].modality,
        captured=video.created,
        made=lambda: _made(path, as_),
        notes=tuple(said),
    )


def _looked_at(path: Path) -> _Video:
    """Raises Refused."""
    av = library("av", "an MP4 video")
    try:
        with av.open(str(path), format="mp4") as container:
            pictures, created = container.streams.video, container.metadata.get("creation_time")
            if len(pictures) != 1:
                raise Refused(f"it has {len(pictures)} tracks of pictures, where an object has one")
            stream, coded = pictures[0], pictures[0].codec_context
            rate = stream.average_rate
            return _Video(
                codec=coded.name,
                profile=str(coded.profile),
                level=int(coded.level),
                pixel_format=str(coded.pix_fmt),
                rows=coded.height,
                columns=coded.width,
                frames=stream.frames,
                frame_ms=1000.0 / float(rate) if rate else 0.0,
                sound=tuple(one.codec_context.name for one in container.streams.audio),
                created=_moment(created),
            )
    except Refused:
        raise
    except Exception:  # noqa: BLE001 - a library's reader of foreign bytes raises whatever it likes
        raise Refused("it cannot be read as MP4; it is damaged or was cut off") from None


def _is_turned(path: Path) -> bool:
    """Whether the container or the codestream says to turn or to mirror its pictures, which not every viewer does.

    A matrix that only moves or scales them leaves them upright (ISO/IEC 14496-12 section 8.3.2). Raises Refused.
    """
    av = library("av", "an MP4 video")
    try:
        with av.open(str(path), format="mp4") as container:
            matrix = next(container.decode(video=0)).side_data.get("DISPLAYMATRIX")
    except Exception:  # noqa: BLE001 - a library's reader of foreign bytes raises whatever it likes
        raise Refused("its first picture cannot be decoded; it is damaged") from None
    if matrix is None:
        return False
    a, b, _, c, d = struct.unpack_from("=5i", matrix)
    return bool(b or c or a < 0 or d < 0)


def _moment(text: str | None) -> datetime | None:
    """Universal time in the container; the local day is what a study's date means."""
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    # 1904 is what cameras without a clock write.
    if found is None or found.year < 1970:
        return None
    return found.astimezone().replace(tzinfo=None)


def _transfer_syntax(video: _Video) -> str:
    """Raises Refused for what no transfer syntax allows, and says what does not fit."""
    if video.frames < 1 or video.frame_ms <= 0 or min(video.rows, video.columns) < 1:
        raise Refused(f"it does not say how many pictures it has, and how fast they follow: {_AGAIN}")
    if others := sorted({one for one in video.sound if one not in _SOUND and not one.startswith("pcm_")}):
        raise Refused(f"its sound is {', '.join(others)}, where DICOM has AAC, MP3, AC-3 or PCM: encode that again")
    if video.codec == "h264":
        if video.profile not in _H264_PROFILES or video.pixel_format not in ("yuv420p", "yuvj420p"):
            raise Refused(f"its H.264 is of profile {video.profile}, where DICOM has High at most: {_AGAIN}")
        if video.level > 42:
            raise Refused(f"its H.264 is of level {video.level / 10}, where DICOM has 4.2 at most: {_AGAIN}")
        return _H264_4_1 if video.level <= 41 else _H264_4_2
    if video.codec == "hevc":
        if video.profile != "Main" or video.pixel_format not in ("yuv420p", "yuvj420p"):
            raise Refused(f"its HEVC is of profile {video.profile}, where video of visible light has Main: {_AGAIN}")
        if video.level > _HEVC_LEVEL_MAX:
            raise Refused(f"its HEVC is of level {video.level / 30:.1f}, where DICOM has 5.1 at most: {_AGAIN}")
        return _HEVC_MAIN
    raise Refused(f"its pictures are coded by {video.codec}, where DICOM has H.264 and HEVC: {_AGAIN}")


def _made(path: Path, as_: str) -> Iterator[Made]:
    video = _looked_at(path)
    made = visible_light(VISIBLE_LIGHT[as_].video)
    described(made, rows=video.rows, columns=video.columns, samples=3, bits=8, photometric="YBR_PARTIAL_420")
    size = path.stat().st_size
    lossy(made, _METHODS[video.codec], size, video.rows * video.columns * 3 * video.frames)
    made.AnatomicRegionSequence = Sequence([_some_body_structure()])
    _timed(made, video)
    yield Made("1", made, _transfer_syntax(video), Encapsulated(1, lambda: iter([path.read_bytes()])))


def _some_body_structure() -> Dataset:
    """A region is required of video (PS3.3 section C.8.12.1); where nobody says which, the term that says no more."""
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = "123037004", "SCT", "Body structure"
    return made


def _timed(made: Dataset, video: _Video) -> None:
    """Multi-frame and Cine (PS3.3 sections C.7.6.6 and C.7.6.5)."""
    made.NumberOfFrames = video.frames
    made.FrameIncrementPointer = 0x00181063
    made.FrameTime = format_number_as_ds(video.frame_ms)
    made.CineRate = max(round(1000 / video.frame_ms), 1)

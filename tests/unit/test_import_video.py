"""MP4 as DICOM: the container as it is, where a transfer syntax allows what is in it."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest
from pydicom.encaps import generate_frames

from tests.importing import DATED, call, errors, facts, judged, one

PHOTOGRAPHIC, ENDOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.4.1", "1.2.840.10008.5.1.4.1.1.77.1.1.1"


def video(path: Path, codec: str = "libx264", *, pixels: str = "yuv420p", sound: bool = False, **options: str) -> Path:
    if codec not in av.codecs_available:
        pytest.skip(f"PyAV's FFmpeg has no encoder {codec}")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.options = 64, 48, pixels, options
        spoken = container.add_stream("aac", rate=8000) if sound else None
        for nth in range(6):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), nth * 20, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if spoken is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            silence.sample_rate = 8000
            container.mux([*spoken.encode(silence), *spoken.encode()])
    return path


@pytest.mark.parametrize(
    ("level", "as_", "sop_class", "syntax"),
    [("4.1", "capture", PHOTOGRAPHIC, ".102"), ("4.2", "endoscopy", ENDOSCOPIC, ".104")],
)
def test_the_container_is_the_pixel_data(tmp_path: Path, level: str, as_: str, sop_class: str, syntax: str) -> None:
    path = video(tmp_path / "v.mp4", profile="high", level=level)

    made = one(path, tmp_path / "out", *DATED, "--as", as_)

    assert (made.SOPClassUID, made.file_meta.TransferSyntaxUID) == (sop_class, f"1.2.840.10008.1.2.4{syntax}")
    assert (made.Rows, made.Columns, made.NumberOfFrames, made.FrameTime) == (48, 64, 6, 40)
    assert (made.LossyImageCompression, made.LossyImageCompressionMethod) == ("01", "ISO_14496_10")
    (stream,) = generate_frames(made.PixelData, number_of_frames=1)
    assert stream[: path.stat().st_size] == path.read_bytes()
    assert [finding.rule for finding in judged(tmp_path / "out")] == ["decoder_absent"]
    assert errors(tmp_path / "out") == []


def test_sound_stays_and_is_said(tmp_path: Path) -> None:
    path = video(tmp_path / "v.mp4", sound=True)
    done = call(path, "--out", tmp_path / "out", *DATED, "--json")
    assert "it has sound, which stays in it" in facts(done)["files"][0]["notes"]


@pytest.mark.parametrize(
    ("codec", "pixels", "options", "why"),
    [
        ("libx264", "yuv420p", {"level": "5.1"}, "level 5.1, where DICOM has 4.2 at most"),
        ("libx264", "yuv444p", {}, "where DICOM has High at most"),
        ("mpeg4", "yuv420p", {}, "coded by mpeg4"),
    ],
)
def test_what_does_not_fit_is_refused_and_says_how_to_mend_it(
    tmp_path: Path, codec: str, pixels: str, options: dict[str, str], why: str
) -> None:
    path = video(tmp_path / "v.mp4", codec, pixels=pixels, **options)
    done = call(path, "--out", tmp_path / "out", *DATED, "--json")
    (file,) = facts(done)["files"]
    assert done.exit_code == 1
    assert why in file["reason"]
    assert "ffmpeg -i IN.mp4 -c:v libx264" in file["reason"]


def held(path: Path, matrix: tuple[int, int, int, int], at: tuple[int, int] = (0, 0)) -> None:
    """Writes a, b, c and d, and x and y, into the header of the video's track (ISO/IEC 14496-12 section 8.3.2)."""
    data = bytearray(path.read_bytes())
    a, b, c, d = matrix
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, a, b, 0, c, d, 0, *at, 1 << 30)
    path.write_bytes(data)


@pytest.mark.parametrize(
    "matrix",
    [(0, 1, -1, 0), (0, -1, 1, 0), (-1, 0, 0, -1), (-1, 0, 0, 1), (1, 0, 0, -1)],
    ids=["right", "left", "upside down", "mirrored", "flipped"],
)
def test_a_video_that_was_held_turned_is_refused_and_says_how_to_turn_it(
    tmp_path: Path, matrix: tuple[int, int, int, int]
) -> None:
    path = video(tmp_path / "v.mp4")
    a, b, c, d = (number << 16 for number in matrix)
    held(path, (a, b, c, d))

    done = call(path, "--out", tmp_path / "out", *DATED, "--json")

    assert done.exit_code == 1
    assert "it was held turned or is mirrored" in facts(done)["files"][0]["reason"]
    assert "ffmpeg -i IN.mp4 -c:v libx264" in facts(done)["files"][0]["reason"]


@pytest.mark.parametrize(
    ("matrix", "at"),
    [
        ((1 << 16, 0, 0, 1 << 16), (64 << 16, 0)),
        ((2 << 16, 0, 0, 2 << 16), (0, 0)),
        ((65_535, 0, 0, 65_535), (0, 0)),
        ((0, 0, 0, 0), (0, 0)),
    ],
    ids=["elsewhere", "larger", "rounded", "not said"],
)
def test_a_video_that_lies_upright_is_taken_whatever_else_its_matrix_says(
    tmp_path: Path, matrix: tuple[int, int, int, int], at: tuple[int, int]
) -> None:
    path = video(tmp_path / "v.mp4")
    held(path, matrix, at)

    made = one(path, tmp_path / "out")

    (stream,) = generate_frames(made.PixelData, number_of_frames=1)
    assert stream[: path.stat().st_size] == path.read_bytes()


def test_a_container_whose_pictures_are_no_codestream_is_refused(tmp_path: Path) -> None:
    path = video(tmp_path / "v.mp4")
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat") + 4
    data[at : at + 700] = bytes(700)
    path.write_bytes(data)

    done = call(path, "--out", tmp_path / "out", *DATED, "--json")

    assert "damaged" in facts(done)["files"][0]["reason"]


def test_a_container_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = video(tmp_path / "v.mp4")
    path.write_bytes(path.read_bytes()[:-400])
    done = call(path, "--out", tmp_path / "out", *DATED, "--json")
    assert "damaged or was cut off" in facts(done)["files"][0]["reason"]

"""`radstream render` of a file: what it writes, what it says, and what it says when it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image as Picture

from radstream.__main__ import cli
from radstream.errors import Failure
from tests import images

FRAMES = np.stack([np.full((20, 30), grey, np.uint8) for grey in (10, 20, 30)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "image.dcm"
    path.write_bytes(images.native(FRAMES, PixelAspectRatio=["2", "1"]))
    return path


def render(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["render", *map(str, arguments)])


def test_a_frame_is_written_with_square_pixels_and_facts(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "picture.png"
    done = render(file, "-o", out, "--frame", 2, "--json")

    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert (facts["rows"], facts["columns"], facts["media_type"], facts["voi"]) == (40, 30, "image/png", "range")
    with Picture.open(out) as picture:
        assert (picture.size, picture.getpixel((3, 3))) == ((30, 40), 20)
        assert picture.info["Comment"] == "Not for diagnosis."
    assert "Not for diagnosis" in render(file, "-o", out).stdout


def test_the_format_is_that_of_the_name_and_16_bits_are_kept(file: Path, tmp_path: Path) -> None:
    assert render(file, "-o", tmp_path / "a.webp", "--size", 16).exit_code == 0
    assert render(file, "-o", tmp_path / "b", "--depth", 16, "--window", "20,11").exit_code == 0

    with Picture.open(tmp_path / "a.webp") as picture:
        assert (picture.format, picture.size) == ("WEBP", (12, 16))
    with Picture.open(tmp_path / "b") as picture:
        assert (picture.format, picture.mode, picture.getpixel((0, 0))) == ("PNG", "I;16", 0)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--frame", "4"), "no_such_frame"),
        (("--window", "40,0"), "no width of 0"),
        (("--window", "a,b"), "40,400"),
        (("--depth", "16", "--format", "webp"), "only PNG"),
        (("--size", "99999"), "pixels a side"),
    ],
)
def test_what_cannot_be_done_is_told(file: Path, tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    failed = render(file, "-o", tmp_path / "x.png", *arguments)

    assert isinstance(failed.exception, Failure)
    assert told in str(failed.exception)
    assert not (tmp_path / "x.png").exists()


def test_what_is_neither_a_file_nor_a_uid_is_told(tmp_path: Path) -> None:
    failed = render(tmp_path / "absent.dcm", "-o", tmp_path / "x.png")

    assert isinstance(failed.exception, Failure)
    assert "no such file" in str(failed.exception)


@pytest.mark.parametrize("window", ["nan,400", "40,inf", "inf,400"])
def test_a_window_is_of_two_numbers(file: Path, tmp_path: Path, window: str) -> None:
    done = render(file, "-o", tmp_path / "a.png", "--window", window)

    assert isinstance(done.exception, Failure)
    assert "a window has two finite numbers" in str(done.exception)


def test_a_picture_is_not_written_over_its_image(file: Path) -> None:
    before = file.read_bytes()
    done = render(file, "-o", file)

    assert isinstance(done.exception, Failure)
    assert file.read_bytes() == before

"""Files that were imported before: the same instance where it is made as it was, and another where it is not.

The UIDs here are those that the first importer made, of which archives are full.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from tests.importing import DATED, objects


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(range(nth, nth + 9)) for nth in range(7))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 7, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")


def tiff(*pages: tuple[int, int, int, int]) -> bytes:
    """Grey pages of so many rows and columns, held so (Orientation, tag 274), so many times as dense across as down."""
    made = bytearray(b"II*\0" + struct.pack("<I", 8))
    for nth, (rows, columns, orientation, dense) in enumerate(pages, start=1):
        tags = {
            256: columns,
            257: rows,
            258: 8,
            259: 1,
            262: 1,
            273: 0,
            274: orientation,
            278: rows,
            279: rows * columns,
        }
        after = len(made) + 2 + 12 * (len(tags) + 2) + 4
        tags[273] = after + 16
        pixels = bytes(range(nth, nth + rows * columns + rows * columns % 2))
        made += struct.pack("<H", len(tags) + 2)
        made += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
        made += struct.pack("<HHIIHHII", 282, 5, 1, after, 283, 5, 1, after + 8)
        made += struct.pack("<I", after + 16 + len(pixels) if nth < len(pages) else 0)
        made += struct.pack("<4I", dense, 1, 1, 1) + pixels
    return bytes(made)


def nifti() -> bytes:
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, 3, 4, 2, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 4, 16)
    struct.pack_into("<8f", header, 76, 1, 1, 1, 2, 1, 1, 1, 1)
    struct.pack_into("<3f", header, 108, 352, 1, 0)
    struct.pack_into("<2h", header, 252, 0, 1)
    struct.pack_into("<12f", header, 280, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2, 0)
    header[344:348] = b"n+1\0"
    return bytes(header) + struct.pack("<24h", *range(24))


def uids(tmp_path: Path, name: str, data: bytes, *words: str) -> list[str]:
    (tmp_path / name).write_bytes(data)
    return [str(made.SOPInstanceUID) for made in objects(tmp_path / name, tmp_path / "out", *DATED, *words)]


SQUARE = (7, 9, 1, 1)


@pytest.mark.parametrize(
    ("name", "data", "words", "before"),
    [
        ("shot.png", png(), (), ["111472327175693135355707244040161061587"]),
        ("scan.tif", tiff(SQUARE), (), ["232260079964799847189472705030015331424"]),
        ("pages.tif", tiff(SQUARE, SQUARE), (), ["78329171834314132579240122365921525777"]),
        (
            "volume.nii",
            nifti(),
            ("--modality", "CT"),
            ["135622175326927937146432343065162344168", "23828608585977670638312456665657610464"],
        ),
    ],
)
def test_what_is_made_as_before_is_the_same_instance(
    tmp_path: Path, name: str, data: bytes, words: tuple[str, ...], before: list[str]
) -> None:
    assert uids(tmp_path, name, data, *words) == [f"2.25.{number}" for number in before]


@pytest.mark.parametrize(
    ("data", "before"),
    [
        (tiff((7, 9, 2, 1)), ["59847827051804524270932686169896825650"]),
        # The last page is now what the second was: the second object of its file, and of as many rows and columns.
        (
            tiff(SQUARE, (9, 7, 6, 1), SQUARE, (9, 7, 1, 1)),
            [
                "72989501218104138641514715603984620093",
                "138896639485366284634176099449961708201",
                "88726673272014536920102110610617911811",
                "47246226242762659471276958531225711372",
            ],
        ),
        # The third page is now what the last was.
        (
            tiff(SQUARE, (7, 9, 1, 2), SQUARE, (5, 9, 1, 1), SQUARE),
            [
                "302479174001181748436268737633569132988",
                "60459813892129001074435554351482696456",
                "73572236918206246823106374460053758001",
            ],
        ),
    ],
    ids=["mirrored", "a page that is turned", "a page whose pixels are no squares"],
)
def test_what_is_made_otherwise_has_no_uid_that_it_had_before(tmp_path: Path, data: bytes, before: list[str]) -> None:
    assert not set(uids(tmp_path, "held.tif", data)) & {f"2.25.{number}" for number in before}

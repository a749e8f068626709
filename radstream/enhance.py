"""`radstream enhance`: a DICOM object that is easier to see, of a file, beside it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import click

from consumers.derive.config import Output
from consumers.derive.enhanced import Asked, enhanced_object
from consumers.derive.enhancing import Enhancing
from radstream.errors import Failure
from radstream.options import json_option
from radstream.output import show
from streams import part10
from streams.elements import Malformed, TooComplex
from streams.identity import event_id, uid_of_event
from streams.part10 import Part10
from streams.pixels.frames import Frames
from streams.pixels.image import describe

SERIES = 0x0020000E


@dataclass(frozen=True)
class Facts:
    """Of an object that was written."""

    path: str
    sop_instance_uid: str
    series_uid: str
    method: str
    bytes: int
    derivation: str

    @property
    def sentence(self) -> str:
        return f"{self.path}: {self.bytes:,} bytes, SOP Instance UID {self.sop_instance_uid}. {self.derivation}"


@click.command(short_help="Write an enhanced image beside a file, labelled as what it is.")
@click.argument("source", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE")
@click.option("-o", "--output", "out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="DICOM.")
@click.option("--clahe", "clip_limit", type=click.FloatRange(1, 100, min_open=True), help="Local contrast, up to this.")
@click.option("--tiles", type=click.IntRange(2, 32), default=8, show_default=True, help="Of --clahe, a side.")
@click.option("--denoise", "median_px", type=click.Choice(["3", "5"]), help="Median of so many pixels a side.")
@json_option
def enhance(
    source: Path, out: Path, clip_limit: float | None, tiles: int, median_px: str | None, as_json: bool
) -> None:
    """Write a new DICOM object with local contrast enhanced (--clahe 2) or noise taken out (--denoise 3).

    It has UIDs and a series of its own, says DERIVED, what it is made of and how, and that it is not for primary
    reading. FILE is not touched. The same file and options make the same object.
    """
    if (clip_limit is None) == (median_px is None):
        raise Failure("say how: --clahe LIMIT (2 is usual) or --denoise 3, and not both")
    if out.exists() and out.samefile(source):
        raise Failure(f"{out}: that is the original itself; choose another name for --output")
    how = (
        Enhancing("median", median_px=int(median_px or 3))
        if clip_limit is None
        else Enhancing("clahe", clip_limit, tiles)
    )
    data, asked = _enhanced(source, how)
    try:
        out.write_bytes(data)
    except OSError as error:
        raise Failure(f"{out}: cannot be written ({error.strerror}); choose another name for --output") from None
    facts = Facts(str(out), asked.sop_instance_uid, asked.series_uid, how.method, len(data), how.sentence)
    show(as_json, facts, lambda: click.echo(facts.sentence))


def _enhanced(source: Path, how: Enhancing) -> tuple[bytes, Asked]:
    limits = Output()
    try:
        data = source.read_bytes()
        file = part10.read(data)
    except OSError as error:
        raise Failure(f"{source}: cannot be read ({error.strerror})") from None
    except (Malformed, TooComplex):
        raise Failure(f"{source}: it is no DICOM file that can be read") from None
    image = describe(file, limits.frame_bytes_max)
    if isinstance(image, str):
        raise Failure(f"{source}: it has no pixels that can be enhanced ({image})")
    asked = _asked(file, sha256(data).hexdigest(), how)
    made = enhanced_object(file, image, Frames(file, image), asked, limits.pixel_bytes_max)
    if isinstance(made, str):
        raise Failure(
            f"{source}: it cannot be enhanced ({made}); grey images of 8 or 16 bits without functional groups can"
        )
    return made.data, asked


def _asked(file: Part10, digest: str, how: Enhancing) -> Asked:
    def uid(subject: str) -> str:
        return uid_of_event(event_id("", "enhance", f"{subject}|{how.sentence}", 0, 0))

    return Asked(how, uid(digest), uid(file.text(SERIES) or ""))

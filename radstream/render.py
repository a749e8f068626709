"""`radstream render`: one frame as a picture, of a file or of a stored instance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast

import click

from radstream.errors import Failure
from radstream.options import config_option, json_option, open_config, open_log
from radstream.output import show
from radstream.rendering import Picture, Rendering, stored
from streams.identity import uid_is_usable
from streams.rendering.files import Format
from streams.rendering.frame import Asked
from streams.rendering.render import Wanted
from streams.rendering.source import NotRendered, opened
from streams.rendering.voi import FUNCTIONS, Function, Window

_BY_SUFFIX: dict[str, Format] = {".png": "png", ".webp": "webp", ".jpg": "jpeg", ".jpeg": "jpeg"}
DEPTHS: dict[str, Literal[8, 16]] = {"8": 8, "16": 16}


@click.command(short_help="Write one frame as a picture, of a file or of a stored instance.")
@click.argument("source", metavar="FILE|SOP_INSTANCE_UID")
@click.option("-o", "--output", "out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Picture.")
@click.option("--frame", type=click.IntRange(min=1), default=1, show_default=True, help="Which frame, counted from 1.")
@click.option(
    "--window",
    "window",
    metavar="C,W|N|TEXT",
    default="1",
    help="Center and width; or the number, or the explanation, of one of the file's tables and windows. [default: 1]",
)
@click.option("--function", type=click.Choice(FUNCTIONS), default="LINEAR", help="Of --window C,W.  [default: LINEAR]")
@click.option("--size", "side_px", type=click.IntRange(min=1), help="Pixels of the longest side.  [default: all]")
@click.option("--format", "kind", type=click.Choice(["png", "webp", "jpeg"]), help="[default: as OUTPUT, else png]")
@click.option("--depth", type=click.Choice(list(DEPTHS)), default="8", help="Bits of a grey, in PNG.  [default: 8]")
@click.option("--overlays", is_flag=True, help="Burn the overlay planes in; they may hold text.")
@config_option
@json_option
def render(
    source: str,
    out: Path,
    frame: int,
    window: str,
    function: str,
    side_px: int | None,
    kind: str | None,
    depth: str,
    overlays: bool,
    config_path: Path,
    as_json: bool,
) -> None:
    """Write one frame as PNG, WebP or JPEG, as PS3.3 section C.11 says: for looking, not for diagnosis.

    Pixels come out square, inside the display shutter. A file needs no running stack. A stored instance is found in the
    catalog, and the read is audited.
    """
    if out.exists() and Path(source).exists() and out.samefile(source):
        raise Failure(f"{out}: that is the image itself; choose another name for --output")
    wanted = Wanted(frame - 1, _window(window, cast(Function, function)), DEPTHS[depth], overlays)
    try:
        asked = Asked(wanted, cast(Format, kind) if kind else _BY_SUFFIX.get(out.suffix.lower(), "png"), side_px)
    except ValueError as error:
        raise Failure(f"{error}; choose another --format, --depth or --size") from None
    try:
        picture = _rendering(source, config_path)(asked)
    except NotRendered as error:
        raise Failure(f"{source}: it cannot be shown ({error.code}). {error}") from None
    _write(out, picture.data)
    facts = picture.facts(str(out))
    show(as_json, facts, lambda: click.echo(facts.sentence))


def _rendering(source: str, config_path: Path) -> Callable[[Asked], Picture]:
    if Path(source).is_file():
        try:
            data = Path(source).read_bytes()
        except OSError as error:
            raise Failure(f"{source}: cannot be read ({error.strerror})") from None
        return Rendering(lambda: opened(data))
    if not uid_is_usable(source):
        raise Failure(f"{source}: no such file, and no SOP Instance UID either")
    config = open_config(config_path)
    return stored(config, open_log(config), source)


def _window(text: str, function: Function) -> Window | int | str:
    if text.isascii() and text.isdecimal() and int(text[:6]) >= 1:
        return int(text[:6]) - 1
    center, comma, width = text.partition(",")
    if not comma:
        return text
    try:
        return Window(float(center), float(width), function)
    except ValueError as error:
        raise Failure(f"--window {text}: {error}; write a center and a width, as 40,400") from None


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise Failure(f"{path}: cannot be written ({error.strerror}); choose another name for --output") from None

"""Objects that lack something: foreign files with elements taken out or emptied at random, beside dciodvfy.

`python -m tests.mutated_objects [COUNT [SEED]]` prints what of it our check does not say, and what it alone says.
"""

from __future__ import annotations

import io
import random
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pydicom
from pydicom.config import IGNORE, settings
from pydicom.data import get_testdata_files
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import BaseTag

from bench.conformance import Compared, beside, report
from consumers.validate import iod
from streams import part10
from streams.elements import Malformed, TooComplex
from streams.events import Finding
from tests.received import CORPUS

SHARED, PER_FRAME = 0x52009229, 0x52009230
_STORAGE = "1.2.840.10008.5.1.4.1.1."
# Kinds of object that one file can stand for: what it lacks of the other kind is what is looked for.
_ALIKE = (
    *(
        ("1", "1.1", "1.1.1", "1.2", "1.3", "7"),
        ("2", "4", "20", "128", "7", "481.1"),
        ("6.1", "3.1", "12.1", "12.2", "7"),
    ),
    *(("2.1", "4.1", "4.3", "128.1", "2.2", "4.4", "13.1.3"), ("88.11", "88.22", "88.33", "88.34", "88.59", "88.67")),
    *(("77.1.1", "77.1.2", "77.1.4", "7"), ("11.1", "11.2", "11.3", "11.4"), ("66.1", "66.2", "66.3", "66.4", "30")),
    *(("481.2", "481.3", "481.5", "481.8"), ("9.1.1", "9.1.2", "9.2.1", "9.4.1")),
)
_FILE_BYTES_MAX, _PIXEL_BYTES_MAX, _UNDEFINED = 4_000_000, 20_000, 0xFFFFFFFF


class Mutated(NamedTuple):
    source: str
    changes: tuple[str, ...]
    data: bytes


def sources() -> list[Path]:
    """Files that the check and dciodvfy can both read."""
    found = sorted((CORPUS / "files").iterdir()) if CORPUS.is_dir() else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found += [Path(name) for name in sorted(get_testdata_files("*.dcm"))]
    return [path for path in found if path.stat().st_size < _FILE_BYTES_MAX and _usable(path)]


def _usable(path: Path) -> bool:
    try:
        file = part10.read(path.read_bytes())
    except (Malformed, TooComplex):
        return False
    return iod.knows(file.text(0x00080016) or "") and file.transfer_syntax_uid != "1.2.840.10008.1.2.1.99"


def mutated(chance: random.Random, count: int) -> Iterator[Mutated]:
    files = sources()
    mode, settings.reading_validation_mode, settings.writing_validation_mode = (
        (settings.reading_validation_mode, settings.writing_validation_mode),
        IGNORE,
        IGNORE,
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = 0
            while made < count:
                one = _one(chance.choice(files), chance)
                if one is not None:
                    made += 1
                    yield one
    finally:
        settings.reading_validation_mode, settings.writing_validation_mode = mode


def _one(path: Path, chance: random.Random) -> Mutated | None:
    made = pydicom.dcmread(io.BytesIO(_bytes(path)), force=True)
    pixels: object = made.get_item("PixelData")
    if isinstance(pixels, RawDataElement) and pixels.length != _UNDEFINED and pixels.length > _PIXEL_BYTES_MAX:
        made["PixelData"].value = made.PixelData[:_PIXEL_BYTES_MAX]
    changes = tuple(_change(made, chance) for _ in range(chance.choice((1, 1, 2, 4))))
    written = io.BytesIO()
    try:
        made.save_as(written, enforce_file_format=False)
    except Exception:  # noqa: BLE001  what pydicom cannot write again, nobody is asked about
        return None
    return Mutated(path.name, changes, written.getvalue())


@lru_cache(maxsize=512)
def _bytes(path: Path) -> bytes:
    return path.read_bytes()


def _change(made: Dataset, chance: random.Random) -> str:
    how = chance.random()
    if how < 0.1 and (alike := _other_class(made, chance)):
        made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = alike
        return f"class {alike}"
    if how < 0.2 and (groups := [tag for tag in (SHARED, PER_FRAME) if tag in made and made[tag].value]):
        return _group(made, chance.choice(groups), chance)
    item, where = _somewhere(made, chance) if how < 0.7 else (made, "")
    tags = [tag for tag in _tags(item) if tag.group not in (0x0008,) or tag.element not in (0x0005, 0x0016)]
    if not tags:
        return "nothing"
    tag = chance.choice(tags)
    if chance.random() < 0.5:
        del item[tag]
        return f"without {where}{tag}"
    element = item[tag]
    element.value = Items() if element.VR == "SQ" else None
    return f"empty {where}{tag}"


def _tags(item: Dataset) -> list[BaseTag]:
    """A data set is iterated by its elements."""
    return list(item.keys())


def _other_class(made: Dataset, chance: random.Random) -> str:
    last = str(made.get("SOPClassUID", "")).removeprefix(_STORAGE)
    alike = [one for kinds in _ALIKE if last in kinds for one in kinds if one != last]
    return _STORAGE + chance.choice(alike) if alike else ""


def _group(made: Dataset, tag: int, chance: random.Random) -> str:
    """One macro taken out of all frames, or out of one; or all groups."""
    how = chance.random()
    if how < 0.1:
        del made[tag]
        return f"without {tag:08X}"
    frames = list(made[tag].value)
    macros = sorted({macro for frame in frames for macro in _tags(frame)})
    if not macros:
        return "nothing"
    macro = chance.choice(macros)
    for frame in frames if how < 0.8 else [chance.choice(frames)]:
        if macro in frame:
            del frame[macro]
    return f"without {tag:08X}/{macro}"


def _somewhere(made: Dataset, chance: random.Random) -> tuple[Dataset, str]:
    """An item, at any depth."""
    item, where = made, ""
    while True:
        inside = [tag for tag in _tags(item) if item[tag].VR == "SQ" and item[tag].value]
        if not inside or (where and chance.random() < 0.4):
            return item, where
        tag = chance.choice(inside)
        number = chance.randrange(len(item[tag].value))
        item, where = item[tag].value[number], f"{where}{tag}[{number + 1}]/"


def oracle(data: bytes) -> str:
    """What dciodvfy says of a file, behind a line with its exit status."""
    program = shutil.which("dciodvfy")
    assert program
    with tempfile.NamedTemporaryFile(suffix=".dcm") as file:  # it does not read from pipes
        file.write(data)
        file.flush()
        done = subprocess.run([program, file.name], capture_output=True, timeout=60, check=False)
    return f"rc={done.returncode}\n" + (done.stdout + done.stderr).decode("latin-1")


def compared(count: int, seed: int) -> tuple[Compared, dict[str, Mutated]]:
    """Our findings beside dciodvfy's on that many mutations."""
    made = Compared()
    every: dict[str, Mutated] = {}
    for number, one in enumerate(mutated(random.Random(seed), count)):
        name = f"{number}_{one.source}"
        every[name] = one
        beside(made, name, one.data, oracle(one.data))
    return made, every


def main(count: str = "1000", seed: str = "1") -> None:
    made, every = compared(int(count), int(seed))
    print(report(made))  # noqa: T201
    missed = {(kind, how, keyword, module): name for name, kind, (how, keyword), module in made.missed}
    ours = {_class(finding): name for name, finding in made.only_ours}
    _print("dciodvfy", Counter((kind, *said, module) for _, kind, said, module in made.missed), missed, every)
    _print("ours", Counter(_class(finding) for _, finding in made.only_ours), ours, every)


def _class(finding: Finding) -> tuple[str, ...]:
    return finding.rule, (finding.tag or "").split("/")[-1], finding.section or ""


def _print(
    whose: str, many: Counter[tuple[str, ...]], last: dict[tuple[str, ...], str], every: dict[str, Mutated]
) -> None:
    for what, count in many.most_common(80):
        print(f"{whose} alone", count, *what, "|", last[what], *every[last[what]].changes)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])

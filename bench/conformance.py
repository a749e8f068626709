"""What the check of IODs finds beside dciodvfy, what it costs, and what the whole judgement of a file costs.

`python -m bench.conformance CORPUS [--json]`.

CORPUS is a folder with `files/`, and in `dciodvfy/` what dciodvfy said of each, as `<file>.txt`.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydicom.datadict import keyword_for_tag

from consumers.validate import iod
from consumers.validate.config import Limits
from consumers.validate.iod import tables
from consumers.validate.judging import judged
from streams import part10
from streams.elements import Malformed, TooComplex
from streams.events import Finding

_SAID = re.compile(
    r"^Error - (Missing|Empty) attribute (?:\(no value\) )?Type (1C|2C|1|2) \w+ Element=<(\w+)> Module=<(\w+)>",
    re.MULTILINE,
)
# It did not get to the end, or does not know the SOP class: nothing follows from what it does not say.
_MUTE = re.compile(r"Information Object Not found|read failed")
# 60xx,eeee: pydicom's names are of a mask.
_OVERLAYS = range(0x60000000, 0x60200000)

# Missing or empty, and the attribute's keyword.
Said = tuple[str, str]


@dataclass
class Compared:
    """Counts over files, by Type, and what one of both did not say, by file."""

    said: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    ours: int = 0
    # File, Type, what, and the module or macro as dciodvfy calls it.
    missed: list[tuple[str, str, Said, str]] = field(default_factory=list)
    only_ours: list[tuple[str, Finding]] = field(default_factory=list)
    computed: int = 0
    not_computed: int = 0
    milliseconds: list[float] = field(default_factory=list)

    def recall(self, kind: str) -> float:
        return self.found[kind] / self.said[kind] if self.said[kind] else 1.0


def compare(corpus: Path) -> Compared:
    made = Compared()
    for path in sorted((corpus / "files").iterdir()):
        beside(made, path.name, path.read_bytes(), (corpus / "dciodvfy" / f"{path.name}.txt").read_text("latin-1"))
    return made


def beside(made: Compared, name: str, data: bytes, text: str) -> None:
    """Counts what is said of one file, by us and in `text`, where we can read it."""
    try:
        file = part10.read(data)
    except (Malformed, TooComplex):
        return
    start = time.perf_counter()
    checked = iod.check(file)
    made.milliseconds.append((time.perf_counter() - start) * 1000)
    made.computed += checked.computed
    made.not_computed += checked.not_computed
    theirs = {said: (kind, module) for said, kind, module in _oracle(text)}
    ours = {_key(finding): finding for finding in checked.findings if finding.type is not None}
    made.ours += len(ours)
    top = _top_level(file)
    for said, (kind, module) in theirs.items():
        place = kind if said[1] in top else f"{kind} nested"
        made.said[place] += 1
        if said in ours:
            made.found[place] += 1
        else:
            made.missed.append((name, place, said, module))
    if re.match(r"rc=[01]\b", text) and not _MUTE.search(text):
        made.only_ours += [(name, finding) for said, finding in ours.items() if said not in theirs]


def _top_level(file: part10.Part10) -> frozenset[str]:
    """Keywords of what the modules of the file's IOD have outside of sequences."""
    known = tables.iod(file.text(0x00080016) or "")
    tags = {tag for module in known.modules for tag in tables.level(module.level).tags} if known else set()
    return frozenset(keyword_for_tag(tag) or _overlay(tag) for tag in tags)


def _oracle(text: str) -> Iterator[tuple[Said, str, str]]:
    for how, kind, keyword, module in _SAID.findall(text):
        yield (how.lower(), keyword), kind, module


def _key(finding: Finding) -> Said:
    tag = int((finding.tag or "").split("/")[-1].replace(",", ""), 16)
    if tag in _OVERLAYS:
        tag = 0x60000000 | tag & 0xFFFF
    return "empty" if finding.rule.endswith("empty") else "missing", keyword_for_tag(tag) or _overlay(tag)


def _overlay(tag: int) -> str:
    from pydicom._dicom_dict import RepeatersDictionary

    return RepeatersDictionary.get(f"60xx{tag & 0xFFFF:04X}", ("",) * 5)[4]


def judgements(corpus: Path) -> dict[str, object]:
    """What the validate step spends on each file, its pixels decoded, from bytes in memory: by the clock, and of the
    processor without what decoders spend in processes of their own."""
    files = [path.read_bytes() for path in sorted((corpus / "files").iterdir())]
    for data in files[:5]:
        judged(data, Limits(), datetime.now(UTC))  # Tables are read, and decoders started, once.
    clock, processor = [], []
    for data in files:
        began, began_processor = time.perf_counter(), time.process_time()
        judged(data, Limits(), datetime.now(UTC))
        clock.append((time.perf_counter() - began) * 1000)
        processor.append((time.process_time() - began_processor) * 1000)
    return {
        "judged files": len(files),
        "judged ms": _spread(clock),
        "judged ms of the processor": _spread(processor),
    }


def _spread(milliseconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(milliseconds, n=100, method="inclusive")
    return {"p50": round(cuts[49], 2), "p99": round(cuts[98], 1), "highest": round(max(milliseconds), 1)}


def report(made: Compared) -> dict[str, object]:
    return {
        "files": len(made.milliseconds),
        "recall": {kind: [made.found[kind], made.said[kind]] for kind in sorted(made.said)},
        "findings": made.ours,
        "only ours": len(made.only_ours),
        "conditions of absent attributes": {"computed": made.computed, "not computed": made.not_computed},
        "p50 ms": round(statistics.median(made.milliseconds), 2),
        "highest ms": round(max(made.milliseconds), 1),
    }


def main(arguments: list[str]) -> None:
    made = compare(Path(arguments[0]))
    print(json.dumps(report(made) | judgements(Path(arguments[0])), indent=2))  # noqa: T201
    if "--json" not in arguments:
        for name, kind, (how, keyword), _ in made.missed:
            print(f"dciodvfy alone: {name} {how} {keyword} (Type {kind})")  # noqa: T201
        for name, finding in made.only_ours:
            print(f"ours alone: {name} {finding.rule} {finding.tag}")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])

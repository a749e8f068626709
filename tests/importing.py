"""What `radstream import` makes of generated files: written to a folder, read by pydicom, judged by our own step."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pydicom
from click.testing import CliRunner, Result
from pydicom.dataset import FileDataset

from consumers.validate.config import Limits
from radstream.__main__ import cli
from radstream.validating import judge_path
from streams.events import Finding

PATIENT = ("--patient-id", "P-4711", "--patient-name", "Testperson^Import", "--birth-date", "19700102", "--sex", "F")
DATED = (*PATIENT, "--date", "2026-01-02T10:11")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["import", *map(str, arguments)])


def objects(source: Path, out: Path, *words: object) -> list[FileDataset]:
    """In order of instance number. Validate has nothing to say against any of them."""
    done = call(source, "--out", out, *(words or DATED))
    assert done.exit_code == 0, (done.output, done.exception)
    made = [pydicom.dcmread(path) for path in out.glob("*.dcm")]
    assert made
    assert [finding for finding in judged(out) if finding.severity != "info"] == []
    return sorted(made, key=lambda one: (int(one.InstanceNumber), str(one.SOPInstanceUID)))


def judged(out: Path) -> list[Finding]:
    """What validate finds in the objects of a folder; it quarantines none of them."""
    verdicts = [judge_path(path, Limits()) for path in out.glob("*.dcm")]
    assert {one.verdict for one in verdicts} <= {"accepted", "accepted with findings"}, verdicts
    return [finding for one in verdicts for finding in one.findings]


def one(source: Path, out: Path, *words: object) -> FileDataset:
    (made,) = objects(source, out, *words)
    return made


def errors(out: Path) -> list[str]:
    """What dciodvfy calls an error, none where it is not installed."""
    program = shutil.which("dciodvfy")
    if program is None:
        return []
    said = (
        subprocess.run([program, path], capture_output=True, text=True, check=False).stderr
        for path in out.glob("*.dcm")
    )
    return [line for text in said for line in text.splitlines() if line.startswith("Error")]


def facts(done: Result) -> Any:
    return json.loads(done.stdout)

"""`radstream validate`: files judged as the step would, in processes of their own."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from consumers.validate.config import Limits
from radstream.__main__ import cli
from radstream.validate import fails, summed_up
from radstream.validating import FileVerdict, judge_path, judged_files, listed
from streams.config import ConfigError
from streams.events import InstanceValidated
from streams.memory_store import MemoryStore
from streams.step import Done
from tests import images
from tests.received import received
from tests.unit.test_validate_step import run

PIXELS = np.zeros((1, 8, 6), np.uint16)
SECRET = "DOE^JANE"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a good file, one with a warning, one with an error, and one that is no DICOM file."""
    monkeypatch.setenv("RADSTREAM_HOME", str(tmp_path / "no-stack"))
    made = tmp_path / "files"
    (made / "deep").mkdir(parents=True)
    (made / "good.dcm").write_bytes(images.native(PIXELS))
    (made / "deep" / "warning.dcm").write_bytes(images.native(PIXELS, PatientID="", PatientName=SECRET))
    (made / "error.dcm").write_bytes(images.native(PIXELS, Rows=9, PatientName=SECRET))
    (made / "other.txt").write_bytes(SECRET.encode())
    return made


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["validate", "--jobs", "1", *map(str, arguments)])


def test_each_file_has_its_verdict_and_each_rule_its_count(folder: Path) -> None:
    made = call(folder, "--json")
    said = json.loads(made.stdout)

    assert made.exit_code == 1
    assert {Path(one["file"]).name: (one["verdict"], one["code"]) for one in said["files"]} == {
        "good.dcm": ("accepted", None),
        "warning.dcm": ("accepted with findings", None),
        "error.dcm": ("accepted with findings", None),
        "other.txt": ("quarantined", "unreadable"),
    }
    assert said["verdicts"] == {"accepted": 1, "accepted with findings": 2, "quarantined": 1}
    assert said["held"] == {"unreadable": 1}
    assert [(one["severity"], one["rule"], one["files"]) for one in said["rules"]] == [
        ("error", "pixel_length", 1),
        ("warning", "patient_id_empty", 1),
    ]
    assert SECRET not in made.output


def test_a_person_reads_what_is_wrong_where_and_why(folder: Path) -> None:
    made = call(folder)

    assert "good.dcm: accepted\n" in made.stdout
    assert "other.txt: quarantined (unreadable): It has no DICOM file header." in made.stdout
    assert "warning  The Patient ID is empty.  [patient_id_empty; 0010,0020, PS3.3 C.7.1.1]" in made.stdout
    assert "4 files: 1 accepted, 2 accepted with findings, 1 quarantined" in made.stdout
    assert SECRET not in made.output


@pytest.mark.parametrize(
    ("name", "fail_on", "code"),
    [
        ("good.dcm", "warning", 0),
        ("deep/warning.dcm", "error", 0),
        ("deep/warning.dcm", "warning", 1),
        ("error.dcm", "error", 1),
        ("error.dcm", "never", 0),
        ("other.txt", "never", 1),
    ],
)
def test_the_exit_code_says_whether_anything_is_as_bad_as_was_asked(
    folder: Path, name: str, fail_on: str, code: int
) -> None:
    assert fails(summed_up([judge_path(folder / name, Limits())]), fail_on) is bool(code)


def test_a_good_file_ends_with_nothing_to_complain_of(folder: Path) -> None:
    assert call(folder / "good.dcm").exit_code == 0


def test_what_is_not_there_or_not_understood_is_a_usage_error(folder: Path) -> None:
    assert call(folder / "absent.dcm").exit_code == 2
    assert call(folder, "--fail-on", "sometimes").exit_code == 2
    assert call().exit_code == 2


def test_it_says_what_the_step_says(folder: Path) -> None:
    data = (folder / "error.dcm").read_bytes()

    assert judge_path(folder / "error.dcm", Limits()).findings == _of_step(data)
    assert judge_path(folder / "error.dcm", Limits(object_bytes_max=10)).code == "too_large"


def test_it_says_what_the_site_says_of_each_rule(folder: Path, tmp_path: Path) -> None:
    config = tmp_path / "radstream.toml"
    config.write_text('[site]\ntenant = "t"\nsite = "north"\n[validate]\nhttp_port = 1\nrules = "rules.toml"\n')
    (tmp_path / "rules.toml").write_text(
        '[rules]\npatient_id_empty = "off"\n'
        '[[when]]\nsite = "north"\nmodality = "CT"\nrules = {pixel_length = "info"}\n'
        '[[when]]\ncalling_ae = "OLDCT"\nrules = {pixel_length = "warning"}\n'
    )

    def levels(*more: str) -> list[tuple[str, str]]:
        made = call(folder / "deep" / "warning.dcm", folder / "error.dcm", "--config", config, "--json", *more)
        assert made.exit_code == 0, made.output
        return [(one["rule"], one["severity"]) for one in json.loads(made.stdout)["rules"]]

    assert levels() == [("pixel_length", "info")]
    assert levels("--calling-ae", "OLDCT") == [("pixel_length", "warning")]

    (tmp_path / "rules.toml").write_text('[rules]\npixel_lenght = "off"\n')
    made = CliRunner().invoke(cli, ["validate", str(folder), "--config", str(config)])
    assert isinstance(made.exception, ConfigError)
    assert "pixel_lenght" in str(made.exception)


def _of_step(data: bytes) -> object:
    store = MemoryStore()
    made = run(store, received(store, data))
    assert isinstance(made, Done)
    (event,) = made.events(())
    assert isinstance(event, InstanceValidated)
    return event.findings


def _judge(path: Path, limits: Limits) -> FileVerdict:
    """Stands for a decoder that crashes or hangs."""
    if "crash" in path.name:
        os._exit(9)
    while "hang" in path.name:
        time.sleep(3600)
    return judge_path(path, limits)


def test_a_file_that_ends_or_blocks_its_process_costs_that_file_alone(folder: Path) -> None:
    names = ["good.dcm", "crash.dcm", "hang.dcm", "good.dcm"]

    made = list(judged_files([folder / name for name in names], Limits(), 1, judge=_judge, seconds_max=3.0))

    assert [(one.verdict, one.code) for one in made] == [
        ("accepted", None),
        ("not read", "crashed"),
        ("not read", "timeout"),
        ("accepted", None),
    ]


def test_what_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "loop.dcm").symlink_to("loop.dcm")
    os.mkfifo(folder / "pipe.dcm")
    found, unread = listed([folder, folder / "good.dcm"])

    # Links that lead nowhere, and pipes, are no files; what is named twice is judged once.
    assert sorted(path.name for path in found) == ["error.dcm", "good.dcm", "other.txt", "warning.dcm"]
    assert unread == []
    assert judge_path(folder / "loop.dcm", Limits()).code == "unreadable_path"
    assert judge_path(folder / "absent.dcm", Limits()).verdict == "not read"

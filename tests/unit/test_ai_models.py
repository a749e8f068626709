"""The model repository: cards, digests, deployments, and what a person is told when they do not fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from consumers.ai import repository
from consumers.ai.backends.settings import Backends
from consumers.ai.deployments import deployments
from consumers.ai.entries import FILE, MODELS, entries
from consumers.ai.selection import Selection
from radstream.__main__ import cli
from streams.config import ConfigError
from streams.events import Technical

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A repository of one's own."""
    shutil.copytree(MODELS, tmp_path / "models")
    return tmp_path / "models"


def test_every_packaged_model_is_what_its_card_says() -> None:
    found = {(one.card.name, one.card.version): one for one in repository.models(MODELS)}
    assert {name for name, _ in found} == {"nodule-ct", "laa-950"}
    network = found["nodule-ct", "1"]
    assert network.network.stat().st_size < 1 << 20
    assert network.card.metrics["dice_mean"] > 0.85
    assert "plumbing" in network.card.purpose
    assert all(one.card.limits and one.card.licence and one.card.training_data for one in found.values())


def test_the_file_says_nothing_of_the_machine_that_made_it() -> None:
    network = repository.load(MODELS, "nodule-ct", "1").network.read_bytes()
    assert b".py" not in network
    assert b"stack_trace" not in network


def test_another_file_than_the_cards_is_refused(copied: Path) -> None:
    file = copied / "nodule-ct" / "1" / "model.onnx"
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(ConfigError, match=r"model\.onnx: is not the file that its card names.*version of its own"):
        repository.load(copied, "nodule-ct", "1")
    file.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        repository.load(copied, "nodule-ct", "1")


def test_a_misspelt_card_and_a_card_in_the_wrong_folder_are_refused(copied: Path) -> None:
    card = copied / "laa-950" / "1" / "card.toml"
    shutil.copytree(card.parent, copied / "laa-950" / "2")
    with pytest.raises(ConfigError, match="is the card of laa-950 1"):
        repository.load(copied, "laa-950", "2")
    card.write_text(card.read_text().replace("licence", "license"))
    with pytest.raises(ConfigError, match="not a card"):
        repository.load(copied, "laa-950", "1")
    for name in ("../laa-950", "", "nodule"):
        with pytest.raises(ConfigError, match="no model"):
            repository.load(copied, name, "1")


def test_a_changed_card_is_another_card_digest_and_the_same_model(copied: Path) -> None:
    before = repository.load(copied, "nodule-ct", "1")
    card = copied / "nodule-ct" / "1" / "card.toml"
    card.write_text(card.read_text() + "# note\n")
    after = repository.load(copied, "nodule-ct", "1")
    assert (after.digest, after.card_digest != before.card_digest) == (before.digest, True)


def test_without_a_server_the_deployments_on_it_are_left_out() -> None:
    without = {one.deployment: one for one in deployments(MODELS, FILE, Backends())}
    assert without.keys() == {"nodule-ct", "laa-950"}
    both = {one.deployment: one for one in deployments(MODELS, FILE, Backends(triton="127.0.0.1:9"))}
    assert both.keys() == {"nodule-ct", "nodule-ct-triton", "laa-950"}
    assert both["nodule-ct-triton"].model.digest == without["nodule-ct"].model.digest
    assert {name: one.model.backend for name, one in both.items()} == {
        "nodule-ct": "onnxruntime",
        "nodule-ct-triton": "triton",
        "laa-950": "code",
    }


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("threshold", "treshold", r"\[nodule-ct\.settings\].*treshold"),
        ('backend = "code"', 'backend = "onnxruntime"', r"\[laa-950\] backend"),
        ('version = "1"', 'version = "7"', "no model nodule-ct of version 7"),
        ('unit = "series"', 'unit = "instance"', "images_min is 1"),
        ('unit = "series"', 'unit = "study"', "not a list of deployments"),
        ("[nodule-ct]", "[nodule-ct", "not a list of deployments"),
    ],
)
def test_a_file_of_deployments_that_cannot_be_used_says_where(
    tmp_path: Path, before: str, after: str, says: str
) -> None:
    file = tmp_path / "deployments.toml"
    file.write_text(FILE.read_text().replace(before, after))
    with pytest.raises(ConfigError, match=says):
        deployments(MODELS, file, Backends())


def test_a_model_for_single_images_is_deployed_with_two_words(tmp_path: Path) -> None:
    file = tmp_path / "deployments.toml"
    text = FILE.read_text().replace('unit = "series"', 'unit = "instance"').replace("images_min = 8", "")
    file.write_text(text)
    assert {one.selection.unit for one in entries(file).values()} == {"instance"}
    assert len(deployments(MODELS, file, Backends())) == 2


@pytest.mark.parametrize(
    ("sop_class", "technical", "taken"),
    [
        (CT, Technical(modality="CT", body_part="CHEST"), True),
        (CT, Technical(modality="CT"), True),
        (CT, Technical(modality="CT", body_part="KNEE"), False),
        (MR, Technical(modality="MR", body_part="CHEST"), False),
        (CT, Technical(body_part="CHEST"), False),
    ],
)
def test_a_model_takes_the_images_that_it_was_made_for(sop_class: str, technical: Technical, taken: bool) -> None:
    selection = entries(FILE)["nodule-ct"].selection
    assert selection.takes(sop_class, technical) is taken
    assert Selection().takes(sop_class, technical)


def test_the_command_line_lists_and_shows(copied: Path) -> None:
    def run(*arguments: str) -> object:
        ran = CliRunner().invoke(cli, ["models", *arguments, "--repository", str(copied), "--json"])
        assert ran.exit_code == 0, ran.output
        return json.loads(ran.stdout)

    listed = run("list")
    assert isinstance(listed, list)
    assert [one["card"]["name"] for one in listed] == ["laa-950", "nodule-ct"]
    shown = run("show", "nodule-ct")
    assert isinstance(shown, dict)
    assert shown["digest"] == shown["card"]["digest"]
    for said in (("show", "laa-950"), ("list",)):
        ran = CliRunner().invoke(cli, ["models", *said])
        assert ran.exit_code == 0
        assert "laa-950" in ran.stdout

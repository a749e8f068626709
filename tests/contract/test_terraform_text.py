"""What can be held of infra/terraform without Terraform: its text, parsed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml

from infra.local.founding import HTTP
from infra.local.parts.services import MODULES
from streams.identity import ORIGINALS, OTHERS
from tests.terraform import TREE

FOLDERS = sorted({path.parent for path in TREE.rglob("*.tf")})
HOUSE = {**MODULES, "windows": "streams.windows"}  # absent from MODULES where its extra is not installed
SERVICES = yaml.safe_load((TREE / "services.yaml").read_text(encoding="utf-8"))["services"]
PROVIDER_TYPES = ("aws_", "kafka_")
KINDS = ("resource", "data", "variable", "output", "module", "locals")


def plain(value: Any) -> Any:
    """Without the quotes that the parser keeps."""
    if isinstance(value, dict):
        return {plain(key): plain(inner) for key, inner in value.items() if not str(key).startswith("__")}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value[1:-1] if isinstance(value, str) and value.startswith('"') else value


@cache
def read(folder: Path) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {kind: [] for kind in (*KINDS, "terraform", "provider")}
    for path in sorted(folder.glob("*.tf")):
        with path.open(encoding="utf-8") as file:
            for kind, blocks in plain(hcl2.load(file)).items():
                found[kind] += blocks
    return found


def names(blocks: list[Any]) -> set[str]:
    return {name for block in blocks for name in block}


def two_names(blocks: list[Any]) -> set[str]:
    return {f"{kind}.{name}" for block in blocks for kind, named in block.items() for name in named}


def text(folder: Path) -> str:
    """Everything but comments and the words of descriptions and messages."""
    lines = "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.tf")))
    lines = re.sub(r"(?m)^\s*#.*$", "", lines)
    return re.sub(r"(?m)^\s*(description|error_message|label|Sid)\s*=.*$", "", lines)


@pytest.fixture(params=FOLDERS, ids=lambda folder: str(folder.relative_to(TREE)))
def folder(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def test_what_is_referred_to_is_there(folder: Path) -> None:
    there, said = read(folder), text(folder)
    variables, modules = names(there["variable"]), names(there["module"])
    assert set(re.findall(r"\bvar\.(\w+)", said)) == variables, "a variable is not declared, or not used"
    assert set(re.findall(r"(?<![.\w])local\.(\w+)", said)) <= names(there["locals"])
    assert set(re.findall(r"\bmodule\.(\w+)", said)) <= modules
    resources = two_names(there["resource"])
    referred = re.findall(r"(?<![.\w\"/])((?:aws|kafka)_\w+\.\w+)", said)
    assert {name for name in referred if name.startswith(PROVIDER_TYPES)} <= resources
    data = {name.removeprefix("data.") for name in re.findall(r"\bdata\.\w+\.\w+", said)}
    assert data == two_names(there["data"])


def test_modules_get_what_they_want_and_give_what_is_asked(folder: Path) -> None:
    said = text(folder)
    for block in read(folder)["module"]:
        for name, call in block.items():
            target = (folder / call["source"]).resolve()
            wanted = read(target)
            given = call.keys() - {"source"}
            variables = {key: value for one in wanted["variable"] for key, value in one.items()}
            assert given <= variables.keys(), f"module {name} has no such variable"
            missing = {key for key, value in variables.items() if "default" not in value} - given
            assert missing == set(), f"module {name} wants more"
            asked = set(re.findall(rf"\bmodule\.{name}\.(\w+)", said))
            assert asked <= names(wanted["output"]), f"module {name} does not say that"


def test_variables_and_outputs_say_what_they_are(folder: Path) -> None:
    there = read(folder)
    for block in there["variable"]:
        for name, variable in block.items():
            assert variable.get("type"), f"{name} has no type"
            assert variable.get("description", "").endswith("."), f"{name} has no description"
    for block in there["output"]:
        for name, output in block.items():
            assert output.get("description", "").endswith("."), f"{name} has no description"


def test_versions_are_pinned(folder: Path) -> None:
    (settings,) = read(folder)["terraform"]
    assert settings["required_version"] == ">= 1.11, < 2.0"
    exact = "environments" in folder.parts
    for providers in settings.get("required_providers", []):
        for name, provider in providers.items():
            pinned = r"\d+\.\d+\.\d+" if exact else r"~> \d+(\.\d+)+"
            assert re.fullmatch(pinned, provider["version"]), f"{name} is not pinned"


def test_every_service_of_the_house_is_there_and_nothing_else() -> None:
    assert {name: entry["module"] for name, entry in SERVICES.items()} == HOUSE
    assert {name: entry["port"] for name, entry in SERVICES.items()} == {name: HTTP[f"{name}-http"] for name in HOUSE}


def test_every_bucket_has_everything_that_keeps_it() -> None:
    resources = list(resources_of(TREE / "modules" / "storage"))
    for kind, _, bucket in resources:
        if kind == "aws_s3_bucket":
            assert bucket["object_lock_enabled"] is True
            assert bucket["lifecycle"] == [{"prevent_destroy": True}]
    beside = {(kind, name) for kind, name, _ in resources}
    for part in ("versioning", "server_side_encryption_configuration", "lifecycle_configuration"):
        assert {(f"aws_s3_bucket_{part}", "tier"), (f"aws_s3_bucket_{part}", "logs")} <= beside
    for part in ("public_access_block", "ownership_controls", "policy"):
        (found,) = [one for kind, _, one in resources if kind == f"aws_s3_bucket_{part}"]
        assert found["for_each"] == "${local.buckets}"
    # Only images: S3 does not log the bucket of its own log, and keeps no retention there.
    assert {name for kind, name in beside if kind == "aws_s3_bucket_logging"} == {"tier"}


def test_buckets_are_made_nowhere_else() -> None:
    for folder in FOLDERS:
        kinds = {kind for kind, _, _ in resources_of(folder)}
        assert folder.name == "storage" or "aws_s3_bucket" not in kinds


def test_no_secret_is_kept_in_the_state() -> None:
    """Passwords are ephemeral variables and write-only arguments; nothing else makes or takes one."""
    for folder in FOLDERS:
        for kind, name, values in resources_of(folder):
            told = {key for key in values if re.search(r"password|secret_string|auth_token", key)}
            assert told <= {
                "password_wo",
                "password_wo_version",
                "secret_string_wo",
                "secret_string_wo_version",
            }, f"{kind}.{name}"
        for block in read(folder)["variable"]:
            for name, variable in block.items():
                if name.startswith("password") and name != "password_version":
                    assert variable["ephemeral"] is True, f"{folder.name}: {name}"


def resources_of(folder: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for block in read(folder)["resource"]:
        for kind, named in block.items():
            for name, values in named.items():
                yield kind, name, values


def test_every_folder_that_a_service_may_touch_is_one_that_keys_have() -> None:
    named = {folder for entry in SERVICES.values() for grant in entry.get("store", ()) for folder in grant["folders"]}
    assert named == {*ORIGINALS, *OTHERS}

"""Terraform as tests use it: on a copy of the tree, offline, with the providers that lie on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.local.tools import kafka_provider

ROOT = Path(__file__).resolve().parents[1]
TREE = ROOT / "infra" / "terraform"
# Where Terraform itself looks for providers that were put there, and where images of machines often have them.
PLUGINS = (
    Path.home() / ".terraform.d" / "plugins",
    Path("/usr/local/share/terraform/plugins"),
    Path("/usr/share/terraform/plugins"),
    Path("/opt/tf-plugins"),
)


def program() -> str:
    found = shutil.which("terraform")
    if found is None:
        pytest.skip("terraform is absent: the text of infra/terraform is checked, its plans are not")
    return found


def plugins(*wanted: str) -> list[Path]:
    """The folders with these providers (`hashicorp/aws`); skips where one is not on this machine."""
    folders = [*PLUGINS, *([kafka_provider.folder()] if kafka_provider.is_built() else [])]
    for name in wanted:
        if not any(any(folder.glob(f"*/{name}")) for folder in folders):
            pytest.skip(f"Terraform's provider {name} is absent: what uses it is checked as text only")
    return [folder for folder in folders if folder.is_dir()]


def copied(folder: Path) -> Path:
    """The tree with what it reads of the house, where Terraform may leave its files."""
    for part in ("infra/terraform", "infra/prometheus", "infra/site"):
        shutil.copytree(ROOT / part, folder / part)
    (folder / "schemas" / "avro").mkdir(parents=True)
    shutil.copy(ROOT / "schemas" / "avro" / "topics.yaml", folder / "schemas" / "avro")
    return folder / "infra" / "terraform"


def run(where: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    # A machine's own configuration of Terraform names mirrors that may not be there.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    return subprocess.run(
        [program(), *arguments], cwd=where, input=given, capture_output=True, text=True, env=environment, timeout=800
    )


def initialised(where: Path, *providers: str) -> Path:
    folders = [f"-plugin-dir={folder}" for folder in plugins(*providers)] if providers else []
    done = run(where, "init", "-no-color", "-input=false", "-backend=false", *folders)
    assert done.returncode == 0, done.stderr
    return where


def evaluated(where: Path, expression: str) -> Any:
    """The value of an expression in a folder that was initialised."""
    done = run(where, "console", given=f"jsonencode({expression})\n")
    assert done.returncode == 0, done.stderr
    return json.loads(json.loads(done.stdout))


def tested(where: Path) -> list[Mapping[str, Any]]:
    """Runs the folder's own tests; the messages of what Terraform did, plans included."""
    done = run(where, "test", "-json", "-verbose")
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    said = [message["@message"] for message in messages if message.get("type") == "diagnostic"]
    assert done.returncode == 0, "\n".join(said) or done.stderr
    return messages


def planned(messages: list[Mapping[str, Any]], run_name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Address and values of every resource in the plan of a run."""
    for message in messages:
        if message.get("type") == "test_plan" and message.get("@testrun") == run_name:
            for change in message["test_plan"]["resource_changes"]:
                if change["mode"] == "managed":
                    yield change["address"], change["change"]["after"]

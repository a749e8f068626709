"""Scrape and alert rules: promtool checks and tries them, and every runbook line names a command that exists."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from infra.local.founding import HTTP
from infra.local.parts.services import MODULES
from infra.local.tools import checkers
from radstream.__main__ import cli

FOLDER = Path(__file__).resolve().parents[2] / "infra" / "prometheus"
RULES = sorted((FOLDER / "rules").glob("*.yml"))
TESTS = sorted((FOLDER / "tests").glob("*.yml"))
NODE_PORT = 9100
SEVERITIES = {"page", "ticket"}


def promtool(*arguments: str) -> None:
    program = checkers.find("promtool")
    if program is None:
        pytest.skip("promtool is absent (Debian's package prometheus): rules are not tried")
    done = subprocess.run([program, *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def alerts() -> list[dict[str, Any]]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def test_the_configuration_is_one() -> None:
    promtool("check", "config", "prometheus.yml")


def test_the_rules_are_rules() -> None:
    promtool("check", "rules", *(str(path.relative_to(FOLDER)) for path in RULES))


def test_the_rules_fire_when_they_should_and_only_then() -> None:
    promtool("test", "rules", *(str(path.relative_to(FOLDER)) for path in TESTS))


def test_every_alert_is_tried() -> None:
    tried = "\n".join(path.read_text(encoding="utf-8") for path in TESTS)
    named = set(re.findall(r'alertname=~?"([^"]+)"', tried))
    known = {rule["alert"] for rule in alerts()}
    assert {name for name in known if not any(re.fullmatch(one, name) for one in named)} == set()


def test_every_service_is_scraped_at_its_usual_port() -> None:
    jobs = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    found = {job["job_name"]: job["static_configs"][0]["targets"] for job in jobs}
    wanted = {name: [f"127.0.0.1:{HTTP[f'{name}-http']}"] for name in (*MODULES, "windows")}
    assert found == {**wanted, "node": [f"127.0.0.1:{NODE_PORT}"]}


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_what_happened_and_which_command_helps(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in SEVERITIES
    assert rule["annotations"]["summary"].endswith(".")
    runbook = rule["annotations"]["runbook"]
    commands = re.findall(r"\bradstream ((?:[a-z]+ ?)+)", runbook)
    assert commands, "no command in its runbook"
    for said in commands:
        assert_command(said.split())


def assert_command(words: list[str]) -> None:
    """The first word is a command; where that is a group, the second is one of its own."""
    context = click.Context(cli)
    command = cli.get_command(context, words[0])
    assert command is not None, f"radstream {words[0]} does not exist"
    if isinstance(command, click.Group):
        assert len(words) > 1
        assert command.get_command(click.Context(command), words[1]) is not None, f"radstream {' '.join(words[:2])}"

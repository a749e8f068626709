"""A service of the local stack that ended by itself: whoever looks at the stack, or starts it again, reads why."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from infra.local import founding
from infra.local import home as homes
from infra.local.ended import errors, last_lines, reason
from infra.local.errors import StackError
from infra.local.parts.services import Service
from infra.local.process import Launch
from infra.local.stack import Stack
from radstream.doctor import doctor
from radstream.stack_state import StackState, stack_state
from radstream.status import status
from streams.handover.crew import SAID_ABOVE
from streams.schema_ids import write_ids

NAME = "DOE^JANE"
STOPPED = "too many dead letters; look at them: radstream deadletters list validate"
# What the service does once it has started. `run` is that of every service of ours.
SERVICE = """
import sys
from streams import config, service
from streams.stop import Stop
def main(context, settings):
    {body}
sys.argv[1:] = ["--config", {config!r}]
service.run("validate", config.Service, main, waits=False)
"""
STOPS = f"raise Stop({STOPPED!r})"
FAILS = f"raise ValueError('cannot parse {NAME}')"
STAYS = "context.health.ready('started', True); context.stopping.wait()"
# As a broker says it: what it came of stands above its farewells.
BROKER = """
echo "2026-12-01T06:22:03.100 INFO  [BrokerServer id=2] starting (BrokerServer)"
echo "2026-12-01T06:23:15.700 ERROR Exiting Kafka due to fatal exception during startup. (Kafka$)"
echo "java.lang.RuntimeException: the controller did not answer"
echo "Caused by: java.util.concurrent.CancellationException"
for line in $(seq 30); do echo "	at java.base/java.lang.Thread.run(Unknown Source)"; done
"""
Does = Callable[[str], None]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> Iterator[Stack]:
    """A home of which only `validate` is ever started."""
    monkeypatch.setenv("RADSTREAM_TOOLS", str(tmp_path / "cache" / "tools"))
    stack = Stack(tmp_path / "home", said.append)
    homes.make(stack.home)
    founding.found(stack.home, None)
    yield stack
    stack.down()


@pytest.fixture
def does(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Does:
    """What `validate` is from now on."""
    write_ids(stack.home / "schema_ids.json", {})

    def change(body: str) -> None:
        code = SERVICE.format(body=body, config=str(stack.config_path))
        monkeypatch.setattr(Service, "launch", lambda _: Launch([sys.executable, "-P", "-c", code]))

    return change


def ends(stack: Stack) -> None:
    with pytest.raises(StackError, match="validate ended while starting"):
        stack.up(["validate"])


def looked_at(stack: Stack) -> StackState:
    found = stack_state(stack.home)
    assert found is not None
    return found


def found_by_doctor(stack: Stack) -> str:
    answer = json.loads(CliRunner().invoke(doctor, ["--config", str(stack.config_path), "--json"]).stdout)
    (check,) = [one for one in answer["checks"] if (one["part"], one["name"]) == ("service", "validate")]
    return str(check["found"])


def asked_for_status(stack: Stack) -> Result:
    return CliRunner().invoke(status, ["--config", str(stack.config_path)])


def test_a_service_that_stopped_itself_is_shown_with_its_reason(stack: Stack, does: Does) -> None:
    does(STOPS)
    ends(stack)
    assert looked_at(stack).ended == {"validate": STOPPED}
    assert found_by_doctor(stack).endswith(f". It ended: {STOPPED}.")
    assert f"; validate ended: {STOPPED}" in str(asked_for_status(stack).exception)


def test_a_service_whose_configuration_cannot_be_used_says_which(stack: Stack) -> None:
    """The real one; nobody has registered schemas here."""
    ends(stack)
    (why,) = looked_at(stack).ended.values()
    assert why.startswith(f"{stack.home / 'schema_ids.json'}: the registry's schema ids cannot be read")
    assert why in found_by_doctor(stack)


def test_what_nobody_planned_is_its_type_and_place(stack: Stack, does: Does) -> None:
    does(FAILS)
    ends(stack)
    (why,) = looked_at(stack).ended.values()
    assert re.fullmatch(r"ValueError at __main__:\d+ main, which nobody planned", why)
    assert NAME not in asked_for_status(stack).output + found_by_doctor(stack)


def test_of_what_java_said_the_errors_stand_above_the_last_lines(
    stack: Stack, does: Does, monkeypatch: pytest.MonkeyPatch
) -> None:
    does(STAYS)
    monkeypatch.setattr(Service, "launch", lambda _: Launch(["sh", "-c", BROKER]))
    with pytest.raises(StackError) as error:
        stack.up(["validate"])
    said, _, last = str(error.value).partition("The last lines of ")
    assert "ERROR Exiting Kafka due to fatal exception during startup." in said
    assert "Caused by: java.util.concurrent.CancellationException" in said
    assert "INFO" not in str(error.value)
    assert last.count("Thread.run") == 15
    assert errors(stack.log("validate"), 15, begin=stack.log("validate").stat().st_size) == []


def test_up_says_why_what_it_starts_again_had_ended(stack: Stack, does: Does, said: list[str]) -> None:
    does(STOPS)
    ends(stack)
    assert not any("had ended" in line for line in said)
    does(STAYS)
    assert stack.up(["validate"]) == ("validate",)
    assert [line for line in said if "ended" in line] == [f"validate had ended: {STOPPED}; starting it again"]
    assert looked_at(stack).ended == {}, "it runs"
    assert "ended" not in found_by_doctor(stack)
    stack.kill("validate")
    assert looked_at(stack).ended == {}, "it was killed: the reason is of the one before"
    said.clear()
    stack.up(["validate"])
    stack.down(["validate"])
    assert looked_at(stack).ended == {}, "it was stopped"
    assert not any("had ended" in line for line in said)


def test_of_a_log_of_gigabytes_only_the_end_is_read(tmp_path: Path) -> None:
    log = tmp_path / "validate.log"
    end = f"\nradstream validate: stopped: {STOPPED}\n"
    with log.open("w") as file:
        file.truncate(1 << 40)
        file.seek(1 << 40)
        file.write(end)
    assert reason(log, "validate") == STOPPED
    assert last_lines(log, 15) == [f"radstream validate: stopped: {STOPPED}"]
    assert reason(log, "validate", begin=log.stat().st_size) is None
    assert reason(tmp_path / "none.log", "validate") is None


def test_of_a_parent_that_ends_with_its_processes_the_reason_is_theirs(tmp_path: Path) -> None:
    log = tmp_path / "router.log"
    log.write_text(f"radstream router: the port is taken\nradstream router: {SAID_ABOVE}\n")
    assert reason(log, "router") == "the port is taken"
    assert reason(log, "router", begin=log.read_text().index("\n") + 1) == SAID_ABOVE

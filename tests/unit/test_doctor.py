"""The doctor's looks at a configuration and a machine: what a person reads, and what to do."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from radstream.checks import configuration, machine
from radstream.checks.check import Check
from radstream.stack_state import StackState
from streams.chains import keys as chain_keys
from streams.config import load
from streams.protected_keys import create_key_file

WHOLE = """\
[site]
tenant = "general"
site = "north"
[kafka]
bootstrap = "127.0.0.1:1"
[registry]
url = "http://127.0.0.1:1/apis/ccompat/v7"
[store]
endpoint = "http://127.0.0.1:1"
access_key = "a"
secret_key = "s"
buckets = {{hot = "hot"}}
[protected]
key_file = "{keys}"
[router]
http_port = 1
port = 2
[validate]
http_port = 3
[derive]
http_port = 4
[revisions]
http_port = 5
[chains]
http_port = 15
key_file = "{chain_keys}"
[ai]
http_port = 8
[tiering]
http_port = 7
[catalog]
http_port = 6
dsn = "postgresql://127.0.0.1:1/x"
[commitment]
http_port = 10
dsn = "postgresql://127.0.0.1:1/x"
[lag]
http_port = 9
[orders]
http_port = 10
port = 11
[worklist]
http_port = 12
port = 13
dsn = "postgresql://127.0.0.1:1/x"
[forward]
http_port = 14
[copies]
in_one_place = true
"""


@pytest.fixture
def whole(tmp_path: Path) -> str:
    create_key_file(tmp_path / "keys.toml")
    chain_keys.create(tmp_path / "chain-keys", tmp_path / "chain-keys.public")
    return WHOLE.format(keys=tmp_path / "keys.toml", chain_keys=tmp_path / "chain-keys")


def looked_at(folder: Path, text: str) -> list[Check]:
    (folder / "radstream.toml").write_text(text)
    return list(configuration.check(load(folder / "radstream.toml")))


def broken(checks: list[Check]) -> list[Check]:
    found = [check for check in checks if check.state == "broken"]
    assert all(check.mend for check in found)
    return found


def test_a_whole_configuration_is_well(tmp_path: Path, whole: str) -> None:
    checks = looked_at(tmp_path, whole)
    assert broken(checks) == []
    assert {f"[{name}]" for name in configuration.SECTIONS} <= {check.name for check in checks}


def test_a_wrong_value_is_named_with_its_line(tmp_path: Path, whole: str) -> None:
    (wrong,) = broken(looked_at(tmp_path, whole.replace("port = 2", 'port = "eleven"')))
    assert wrong.name == "[router]"
    assert "radstream.toml:17" in wrong.found


@pytest.mark.parametrize("name", configuration.SERVICES)
def test_a_log_level_that_no_service_starts_with_is_named(tmp_path: Path, whole: str, name: str) -> None:
    (wrong,) = broken(looked_at(tmp_path, whole.replace(f"\n[{name}]\n", f'\n[{name}]\nlog_level = "loud"\n')))
    assert wrong.name == f"[{name}]"
    assert "log level 'loud': one of debug, info, warning, error" in wrong.found


def test_a_missing_section_and_a_misspelt_one_are_both_named(tmp_path: Path, whole: str) -> None:
    found = broken(looked_at(tmp_path, whole.replace("[validate]", "[vaildate]")))
    assert [check.name for check in found] == ["[validate]", "[vaildate]"]
    assert "validate" in found[1].mend


def test_rules_that_cannot_be_used_are_broken_with_their_line(tmp_path: Path, whole: str) -> None:
    text = whole + '[routes]\nfile = "rules.toml"\n'
    (tmp_path / "rules.toml").write_text('[[rules]]\nname = "one"\nforward = ["nowhere"]\n')
    (wrong,) = broken(looked_at(tmp_path, text))
    assert wrong.name == "routes"
    assert "rules.toml:3: no destination is called `nowhere`" in wrong.found
    (tmp_path / "rules.toml").write_text('[[rules]]\nname = "one"\ntag = ["seen"]\n')
    assert broken(looked_at(tmp_path, text)) == []


@pytest.mark.parametrize(
    ("buckets", "copies", "says"),
    [
        pytest.param('{hot = "hot", backup = "backup"}', 2, True, id="two copies in one object store"),
        pytest.param('{hot = "hot", backup = "backup"}', 1, False, id="one copy is promised"),
        pytest.param('{hot = "hot"}', 2, False, id="one store, so that nothing is ever promised"),
    ],
)
def test_copies_that_one_object_store_has_are_a_note(
    tmp_path: Path, whole: str, buckets: str, copies: int, says: bool
) -> None:
    text = whole.replace('{hot = "hot"}', buckets).replace("[commitment]", f"[commitment]\ncopies = {copies}")
    checks = looked_at(tmp_path, text)
    assert broken(checks) == []
    notes = [check for check in checks if check.state == "note"]
    assert [check.name for check in notes] == (["storage commitment"] if says else [])
    assert all("not independent" in check.found and "docs/operations.md" in check.mend for check in notes)


@pytest.mark.parametrize(
    ("said", "state", "words"),
    [
        pytest.param("", "broken", "the stores are in 1 as far as [copies] says", id="nothing said"),
        pytest.param('[copies.places]\nbackup = "building B"', "well", "building B, where no entry says", id="apart"),
        pytest.param('[copies.places]\nhot = "a"\nbackup = "a"', "broken", "in 1 as far as", id="in one place"),
        pytest.param('[copies.places]\ntape = "a"', "broken", "tape, which is no store", id="no such store"),
    ],
)
def test_copies_that_are_promised_have_to_lie_apart(
    tmp_path: Path, whole: str, said: str, state: str, words: str
) -> None:
    text = whole.replace('{hot = "hot"}', '{hot = "hot", backup = "backup"}')
    checks = looked_at(tmp_path, text.replace("[copies]\nin_one_place = true", said))
    (found,) = [check for check in checks if check.name == "storage commitment"]
    assert (found.state, words in found.found) == (state, True)


def test_a_place_for_copies_that_count_wherever_they_are_is_a_contradiction(tmp_path: Path, whole: str) -> None:
    (wrong,) = broken(looked_at(tmp_path, whole + 'places = {hot = "a"}\n'))
    assert (wrong.name, "only one of the two" in wrong.found) == ("[copies]", True)


def test_keys_that_others_can_read_are_broken(tmp_path: Path, whole: str) -> None:
    (tmp_path / "keys.toml").chmod(0o644)
    (wrong,) = broken(looked_at(tmp_path, whole))
    assert wrong.name == "site keys"
    assert "chmod 600" in wrong.found


@pytest.mark.parametrize(("durable", "state"), [(True, "well"), (False, "note"), (None, "note")])
def test_a_store_that_is_not_durable_is_warned_of(tmp_path: Path, durable: bool | None, state: str) -> None:
    checks = {check.name: check for check in machine.check(tmp_path, StackState(tmp_path, (), durable))}
    assert checks["durability"].state == state
    assert ("WARNING" in checks["durability"].found) == (durable is False)


def test_programs_of_a_local_stack_do_not_matter_elsewhere(tmp_path: Path) -> None:
    names = {check.name for check in machine.check(tmp_path, None)}
    assert names == {"radstream", "librdkafka", "disk"}


@pytest.mark.parametrize(("free", "state"), [(1 << 20, "broken"), (5 << 30, "note"), (1 << 40, "well")])
def test_a_full_disk_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    class Usage:
        def __init__(self) -> None:
            self.free = free

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage())
    checks = {check.name: check for check in machine.check(tmp_path, None)}
    assert checks["disk"].state == state


def test_missing_programs_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADSTREAM_TOOLS", os.fspath(tmp_path / "none"))
    found = broken(list(machine.check(tmp_path, StackState(tmp_path, (), True))))
    assert {check.name for check in found} == {"Kafka", "schema registry", "object store"}
    assert all("make demo" in check.mend for check in found)


def test_a_promise_of_more_copies_than_tiering_makes_is_broken(tmp_path: Path, whole: str) -> None:
    (wrong,) = broken(looked_at(tmp_path, whole.replace("[commitment]\n", "[commitment]\ncopies = 3\n")))
    assert wrong.name == "storage commitment"
    assert "promises 3" in wrong.found
    assert "makes 2" in wrong.found


def test_a_ris_that_is_no_node_of_the_site_is_broken_and_one_that_is_is_said(tmp_path: Path, whole: str) -> None:
    (wrong,) = broken(looked_at(tmp_path, whole + '\n[ris]\nnode = "ris"\n'))
    assert (wrong.name, "no node 'ris'" in wrong.found) == ("RIS", True)
    (tmp_path / "nodes.toml").write_text('[ris]\nae_title = "RIS"\nhost = "h"\nport = 104\n')
    assert broken(looked_at(tmp_path, whole + '\n[ris]\nnode = "ris"\n')) == []


def test_a_file_of_nodes_that_cannot_be_used_is_broken(tmp_path: Path, whole: str) -> None:
    (tmp_path / "nodes.toml").write_text('[ct-1]\nae_title = "CT1"\nhost = "h"\n')
    (wrong,) = broken(looked_at(tmp_path, whole))
    assert wrong.name == "nodes"

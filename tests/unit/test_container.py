"""A container of the cloud: files out of the environment, and a probe that says what the service says."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from infra.container.__main__ import is_healthy, main
from infra.container.configuration import write
from streams import config
from streams.clock import SystemClock
from streams.config import ConfigError, Kafka
from streams.health import Health, serve

TEXT = '[kafka]\nbootstrap = "b:9096"\n[kafka.properties]\n"sasl.password" = "@KAFKA_PASSWORD@"\n'


def test_secrets_become_part_of_the_file_and_leave_the_environment(tmp_path: Path) -> None:
    given = {
        "RADSTREAM_CONFIG_TEXT": TEXT,
        "RADSTREAM_SCHEMA_IDS": "{}",
        "KAFKA_PASSWORD": 'with "quotes" and \\',
        "AWS_REGION": "eu-central-1",
    }
    path, left = write(given, tmp_path)
    assert config.load(path).section("kafka", Kafka).properties == {"sasl.password": given["KAFKA_PASSWORD"]}
    assert left == {"AWS_REGION": "eu-central-1"}
    assert (tmp_path / "schema_ids.json").read_text() == "{}"
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "RADSTREAM_CONFIG_TEXT is not set"),
        ({"RADSTREAM_CONFIG_TEXT": TEXT}, "KAFKA_PASSWORD is not set"),
    ],
)
def test_what_is_missing_is_named(given: dict[str, str], says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=says):
        write(given, tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        write({"RADSTREAM_CONFIG_TEXT": ""}, tmp_path / "absent")


def test_the_probe_says_what_the_service_says() -> None:
    health = Health(SystemClock(), silence_s_max=-1.0)
    server = serve(health, "127.0.0.1", 0)
    try:
        assert is_healthy(server.port)
        health.beat()  # and silence is over the limit at once
        assert not is_healthy(server.port)
    finally:
        server.close()
    assert not is_healthy(server.port)


def test_another_word_is_answered_with_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stop"]) == 2
    assert "usage:" in capsys.readouterr().err

"""The stack's life: up, up again, crashes, strangers, down. Most on a stack of its own, which it may break."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import psutil
import pytest
from confluent_kafka import Consumer, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

from infra.local import durable, ports
from infra.local.errors import StackError
from infra.local.stack import Stack
from streams.config import Kafka, Store
from tests.running_stack import RunningStack, new_home
from tests.waiting import wait_until

SERVERS = ("kafka", "registry", "store", "postgres")


@pytest.fixture(scope="module")
def servers() -> Iterator[RunningStack]:
    """The servers alone, on ports and in a home of their own."""
    own = RunningStack(new_home())
    try:
        own.up(SERVERS)
        yield own
    finally:
        own.wipe()


def radstream(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RADSTREAM_HOME": str(home)}
    command = [sys.executable, "-m", "radstream", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)


def fails_with_one_message(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("radstream: ") == 1
    return done.stderr


def listening(stack: Stack) -> dict[str, set[str]]:
    """Addresses that each part listens on, those of its children too."""
    found: dict[str, set[str]] = {}
    for part, pid in stack.running().items():
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            for connection in member.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    found.setdefault(part, set()).add(connection.laddr.ip)
    return found


def test_up_again_starts_nothing_and_changes_nothing(stack: RunningStack) -> None:
    before = stack.running()
    written = stack.config_path.read_bytes()
    assert tuple(before) == stack.names
    assert stack.up() == ()
    assert stack.running() == before
    assert stack.config_path.read_bytes() == written


def test_everything_listens_on_loopback_only(stack: RunningStack) -> None:
    found = listening(stack)
    assert found.keys() == set(stack.names)
    assert set().union(*found.values()) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_every_file_of_the_home_with_a_secret_is_private(stack: RunningStack) -> None:
    for name in ("stack.json", "radstream.toml", "site-keys", "chain-keys"):
        assert stat.S_IMODE((stack.home / name).stat().st_mode) == 0o600


def test_what_the_store_acknowledged_was_written_through(servers: RunningStack) -> None:
    if not servers.state.durable:
        pytest.skip("the file system of the home cannot write through (chattr +S): nothing to check")
    store = servers.config.section("store", Store)
    client = boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        aws_access_key_id=store.access_key,
        aws_secret_access_key=store.secret_key,
        region_name=store.region,
    )
    try:
        assert {bucket["Name"] for bucket in client.list_buckets()["Buckets"]} == {"hot", "warm", "cold", "backup"}
        for bucket in store.buckets.values():
            assert client.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
            for body in (b"one", b"two"):
                client.put_object(Bucket=bucket, Key="a/b/object", Body=body)
            written = servers.home / "data" / "store" / "tiers" / bucket / "a" / "b" / "object"
            assert written.read_bytes() == b"two"
            assert durable.is_synchronous(written)
            assert durable.is_synchronous(written.parent)
        older = [path for path in (servers.home / "data" / "store" / "versions").rglob("*") if path.is_file()]
        assert sorted(path.read_bytes() for path in older) == [b"one"] * 4
        assert all(durable.is_synchronous(path) for path in older)
    finally:
        client.close()


def test_a_killed_broker_comes_back_with_what_it_acknowledged(servers: RunningStack) -> None:
    broker = {"bootstrap.servers": servers.config.section("kafka", Kafka).bootstrap}
    config = {"flush.messages": "1"}
    client = AdminClient(broker)
    client.create_topics([NewTopic("test.stack", num_partitions=1, config=config)])["test.stack"].result(timeout=120)
    acknowledged: list[str | None] = []
    producer = Producer({**broker, "acks": "all"})
    producer.produce("test.stack", b"kept", on_delivery=lambda error, _: acknowledged.append(str(error or "")))
    producer.flush(120)
    assert acknowledged == [""]

    servers.kill("kafka")
    assert "kafka" not in servers.running()
    assert servers.up(SERVERS) == ("kafka",)

    consumer = Consumer({**broker, "group.id": "test", "auto.offset.reset": "earliest"})
    try:
        consumer.subscribe(["test.stack"])

        def kept() -> Message | None:
            message = consumer.poll(1.0)
            return message if message is not None and message.error() is None else None

        assert wait_until(kept, "the record that was acknowledged before the kill").value() == b"kept"
    finally:
        consumer.close()


@pytest.mark.parametrize("part", ["registry", "store", "postgres"])
def test_a_killed_server_comes_back(servers: RunningStack, part: str) -> None:
    before = servers.pid(part)
    servers.kill(part)
    with pytest.raises(StackError, match=f"{part} is not running; start it: radstream up {part}"):
        servers.pid(part)
    assert servers.up([part]) == (part,)
    assert servers.pid(part) != before


def test_a_stranger_on_a_saved_port_is_one_message_that_names_it(servers: RunningStack) -> None:
    port = servers.ports["store"]
    servers.down(["store"])
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        wait_until(lambda: ports.is_free(port), "the store's port to be free")
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        said = fails_with_one_message(radstream(servers.home, "up", "store"))
        assert f"store cannot start: its port {port} is taken by process {os.getpid()}" in said
    assert servers.up(["store"]) == ("store",)
    assert servers.ports["store"] == port


def test_a_bad_configuration_is_one_message_that_names_the_line(servers: RunningStack) -> None:
    good = servers.config_path.read_text()
    try:
        servers.config_path.write_text(good.replace('[site]\ntenant = "local"', "[site]\ntenant = local"))
        said = fails_with_one_message(radstream(servers.home, "up", "store"))
        line = good.splitlines().index("[site]") + 2
        assert f"{servers.config_path}:{line}: not TOML" in said
    finally:
        servers.config_path.write_text(good)


def test_a_part_that_does_not_exist_is_one_message(servers: RunningStack) -> None:
    assert "no part is called 'kofka'; there are: kafka," in fails_with_one_message(
        radstream(servers.home, "up", "kofka")
    )


def test_a_part_that_ends_while_starting_shows_the_end_of_its_log(servers: RunningStack) -> None:
    servers.down(["postgres"])
    version = servers.home / "data" / "postgres" / "cluster" / "PG_VERSION"
    good = version.read_text()
    try:
        version.write_text("9.1\n")
        said = fails_with_one_message(radstream(servers.home, "up", "postgres"))
        assert "postgres ended while starting" in said
        assert "FATAL:  database files are incompatible with server" in said
    finally:
        version.write_text(good)
    servers.up(["postgres"])


def test_a_topic_with_other_partitions_than_listed_is_an_error(servers: RunningStack) -> None:
    client = AdminClient({"bootstrap.servers": servers.config.section("kafka", Kafka).bootstrap})

    def partitions() -> int:
        found = client.list_topics(timeout=120).topics.get("imaging.audit.event")
        return len(found.partitions) if found is not None else 0

    client.create_partitions([NewPartitions("imaging.audit.event", 2)])["imaging.audit.event"].result(timeout=120)
    try:
        wait_until(lambda: partitions() == 2, "the broker to tell of both")
        said = fails_with_one_message(radstream(servers.home, "up", "kafka"))
        assert "topic imaging.audit.event has 2 partitions and topics.yaml says 1" in said
    finally:
        client.delete_topics(["imaging.audit.event"])["imaging.audit.event"].result(timeout=120)

    wait_until(lambda: partitions() == 0, "the topic to be gone")
    servers.up(["kafka"])
    wait_until(lambda: partitions() == 1, "the topic as it is listed")


def test_a_second_home_stands_beside_the_first(servers: RunningStack) -> None:
    other = RunningStack(new_home())
    try:
        other.up(["store", "postgres"])
        assert not set(other.ports.values()) & set(servers.ports.values())
        assert other.down() == ("postgres", "store")
        assert other.running() == {}
        assert tuple(servers.running()) == SERVERS
    finally:
        other.wipe()
    assert not other.home.exists()


def test_down_of_a_spoilt_home_can_still_be_wiped() -> None:
    spoilt = RunningStack(new_home())
    try:
        spoilt.up(["store"])
        process = psutil.Process(spoilt.pid("store"))
        (spoilt.home / "stack.json").write_text("{}")
        assert "cannot be used" in fails_with_one_message(radstream(spoilt.home, "down"))
        assert radstream(spoilt.home, "down", "--wipe", "--yes").returncode == 0
        assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        assert not spoilt.home.exists()
    finally:
        shutil.rmtree(spoilt.home, ignore_errors=True)

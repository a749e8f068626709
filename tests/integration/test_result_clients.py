"""The result topic as a contract: clients that know nothing but the schemas read it, in Python and in Java, alike."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from msgspec import structs

from schemas import Schema
from streams.config import Kafka, Registry
from streams.kafka_log import KafkaLog
from streams.registry import Registry as RegistryClient
from streams.schema_ids import read_ids
from streams.wire import PREFIX, Message, SchemaIds, encode
from tests import result_events as made
from tests.java_client import built
from tests.pipeline_run import Load, settled
from tests.routers import Ct
from tests.running_stack import RunningStack, started

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = ROOT / "schemas" / "avro"
PYTHON = ROOT / "clients" / "python" / "radstream_results.py"
ENDED_S = 300
# The first of them waits for Maven, which on a new machine fetches and compiles, and for a broker.
pytestmark = pytest.mark.timeout(1800)

GUIDE = ROOT / "docs" / "results.md"
# Around a half, around six digits, a float that was once of 32 bits, the smallest and the largest.
ODD = [0.84, 0.0, -0.0, 0.1 + 0.2, 5e-324, 1e-300, -1e300, 999_999.5, 1_234_567.5, 2.5, 0.1234565, 0.939999997615814]
WHY = [
    "no ce_id",
    "ce_type is neither imaging.inference.result nor imaging.review.event",
    *["not in the Confluent wire format"] * 3,
    "the registry has no Avro schema 0",
    "the registry has no Avro schema 4294967295",
    "schema {other} is not radstream.imaging.InferenceResult",
    *["not a record of schema {right}"] * 4,
]


@pytest.fixture(scope="module")
def log_and_registry() -> Iterator[RunningStack]:
    """Nobody else reads these topics: what is written here would stop our own services, as it should."""
    with started(parts=("kafka", "registry")) as stack:
        # The contract's examples are of this tenant.
        text = stack.config_path.read_text(encoding="utf-8")
        stack.config_path.write_text(text.replace('tenant = "local"', 'tenant = "general"'), encoding="utf-8")
        yield stack


@pytest.fixture(scope="module")
def java() -> list[str]:
    # It runs for a moment: the first compiler is enough.
    return ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-jar", str(built())]


def python() -> list[str]:
    # -I: nothing of the checkout can be imported.
    return [sys.executable, "-I", str(PYTHON)]


def arguments(stack: RunningStack) -> list[str]:
    registry = stack.config.section("registry", Registry).url
    bootstrap = stack.config.section("kafka", Kafka).bootstrap
    return ["--bootstrap", bootstrap, "--registry", registry, "--contract", str(CONTRACT)]


def printed(command: list[str]) -> tuple[str, list[str]]:
    """What it prints on stdout, and its own lines on stderr."""
    ended = subprocess.run(command, capture_output=True, check=False, timeout=ENDED_S)
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout.decode(), lines_of_its_own(ended.stderr.decode())


def lines_of_its_own(said: str) -> list[str]:
    """Without those of librdkafka, which warns on a busy machine: as it prints them, or as we log them."""
    return [line for line in said.splitlines() if not line.startswith("%") and '"kafka_client"' not in line]


def ids_in(text: str) -> list[str]:
    """The event id of each block."""
    return [block.split()[2] for block in blocks(text)]


def command_line(stack: RunningStack, *options: str) -> list[str]:
    return [sys.executable, "-m", "radstream", "results", "--config", str(stack.config_path), *options]


def log_of(stack: RunningStack) -> KafkaLog:
    return KafkaLog(stack.config.section("kafka", Kafka))


def ids_of(stack: RunningStack) -> SchemaIds:
    path = stack.config.section("kafka", Kafka).schema_ids
    assert path is not None
    return read_ids(path)


def write(stack: RunningStack, *messages: Any) -> None:
    made.write(log_of(stack), ids_of(stack), messages)


@contextmanager
def running(command: list[str]) -> Iterator[Callable[[], str]]:
    """A command that goes on; reads its next block of lines. Ends with Ctrl-C, without a stack trace."""
    with subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = iter(process.stdout)
        try:
            yield lambda: "".join(iter(lambda: next(lines), "\n"))
        finally:
            process.send_signal(signal.SIGINT)
            said = process.stderr.read()
            assert process.wait(ENDED_S) in (0, 130), said
        assert "Traceback" not in said
        assert "Exception" not in said


def documented() -> str:
    """The example of docs/results.md: what is printed of the contract's own example."""
    return GUIDE.read_text(encoding="utf-8").partition("```text\n")[2].partition("```")[0]


def blocks(text: str) -> list[str]:
    return text.removesuffix("\n\n").split("\n\n") if text else []


# The tests of this file go on with what the ones before them wrote.


def test_nothing_yet_is_said_clearly(log_and_registry: RunningStack, java: list[str]) -> None:
    for client in (python(), java):
        assert printed([*client, *arguments(log_and_registry)]) == ("", [])
    out, said = printed(command_line(log_and_registry, "--study", "2.25.7"))
    assert out == ""
    assert said == ["no results of study 2.25.7 yet; what waits to be analysed: radstream lag ai"]


def test_three_readers_print_the_same(log_and_registry: RunningStack, java: list[str]) -> None:
    first, stat = made.nodule(), made.as_new(made.nodule(), seconds=-60, lane="stat")
    # The same event once more, later and in another lane, and by somebody who says something else: the first counts.
    late = structs.replace(first, meta=structs.replace(first.meta, lane="bulk"), outcome="failed")
    tongues = made.measured(made.as_new(made.nodule(), seconds=9), ODD, "Größe \U0001f9ec \u202eeidem\x1b[2J\n")
    infinite = made.measured(made.as_new(made.nodule(), seconds=9), [math.nan, math.inf, -math.inf, 1.5], "")
    silent = structs.replace(made.as_new(made.nodule(), seconds=-5), findings=(), input_count=1)
    whole = structs.replace(made.confirmed(), finding_id=None, meta=made.as_new(first, seconds=70).meta)
    elsewhere = structs.replace(made.as_new(made.out_of_scope(), lane="bulk", seconds=300), study_uid="2.25.8")
    write(log_and_registry, first, first, stat, elsewhere, late)
    write(log_and_registry, tongues, infinite, silent, made.modified(), made.confirmed(), whole)

    by_python, said = printed([*python(), *arguments(log_and_registry)])
    assert said == []
    found = blocks(by_python)
    assert len(found) == 9
    shown = found[0].replace(stat.meta.event_id, first.meta.event_id).replace("lane stat", "lane routine")
    assert shown.replace("T08:14:30", "T08:15:30") + "\n" == documented()
    assert "1 image; no findings" in found[1]
    assert found[-2].endswith("  of the whole result\n  with a note")
    assert not set("\x1b\u202e") & set(by_python)

    assert printed([*java, *arguments(log_and_registry)]) == (by_python, [])
    assert printed(command_line(log_and_registry, "--since", "2000-01-01")) == (by_python, [])
    by_study = printed(command_line(log_and_registry, "--study", first.study_uid))
    assert blocks(by_study[0]) == found[:-1]
    lines = printed(command_line(log_and_registry, "--since", "2000-01-01", "--json"))[0].splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["type"] for event in events].count(made.REVIEW) == 3
    assert [event["event"]["meta"]["event_id"] for event in events] == ids_in(by_python)


def test_what_a_later_version_wrote_is_read_and_what_is_foreign_is_skipped_aloud(
    log_and_registry: RunningStack, java: list[str]
) -> None:
    definition = made.second_version()
    with RegistryClient(log_and_registry.config.section("registry", Registry).url) as registry:
        later = registry.register(Schema(f"test.{uuid.uuid4()}", 1, definition))
    with_more = made.fields_of(made.as_new(made.nodule(), seconds=1000))
    with_more |= {"added": "more", "outcome": "deferred"}
    identity = with_more["meta"]["event_id"]
    before = printed([*python(), *arguments(log_and_registry)])[0]
    write(
        log_and_registry,
        made.record(later, definition, with_more, made.headers_of(identity)),
        *hostile(log_and_registry),
    )

    by_python, said = printed([*python(), *arguments(log_and_registry)])
    (new,) = blocks(by_python.removeprefix(before))
    assert new.splitlines()[0].endswith(f"result {identity} PRELIMINARY - requires review")
    assert "  outcome failed: 80 images" in new.splitlines()
    ids = ids_of(log_and_registry).ids
    right, other = ids[made.RESULT, 1], ids["imaging.tier.command", 1]
    assert [line.partition(": ")[2] for line in said] == [why.format(right=right, other=other) for why in WHY]
    assert all(line.startswith("skipped imaging.inference.result/") for line in said)
    assert printed([*java, *arguments(log_and_registry)]) == (by_python, said)
    out, said = printed(command_line(log_and_registry, "--since", "2000-01-01"))
    assert out == before
    assert all(line.startswith("radstream: skipped imaging.inference.result/") for line in said)


def hostile(stack: RunningStack) -> Iterator[Message]:
    """Records that are none of ours, or not any more."""
    ids = ids_of(stack)
    right, other = ids.ids[made.RESULT, 1], ids.ids["imaging.tier.command", 1]
    good = encode(made.as_new(made.nodule()), ids, source="test").value or b""
    text = good.replace(b"nodule-ct", b"nodule\xff\xfe\xff")
    ids_of_one = [str(uuid.uuid4()) for _ in WHY]
    values = [good, good, None, b"{}", b"\1" + good[1:], PREFIX.pack(0, 0) + good[5:], PREFIX.pack(0, 2**32 - 1)]
    values += [PREFIX.pack(0, other) + good[5:], good[:-3], good + b"\0", text, PREFIX.pack(0, right) + b"\x7f" * 90]
    assert len(values) == len(WHY)
    for number, (identity, value) in enumerate(zip(ids_of_one, values, strict=True)):
        headers = (
            [{}, made.headers_of(identity, "com.example.other")][number] if number < 2 else made.headers_of(identity)
        )
        yield made.raw(value, headers)


def test_a_member_of_a_group_goes_on_where_it_was(log_and_registry: RunningStack, java: list[str]) -> None:
    write(log_and_registry, made.as_new(made.nodule()))
    for client in (python(), java):
        held = ids_in(printed([*client, *arguments(log_and_registry)])[0])
        command = [*client, *arguments(log_and_registry), "--group", f"ris-{uuid.uuid4()}"]
        with running(command) as next_block:
            assert sorted(next_block().split()[2] for _ in held) == sorted(held)
        new = made.as_new(made.nodule(), lane="stat")
        write(log_and_registry, new, new)
        write(log_and_registry, last := made.as_new(made.nodule(), lane="stat"))
        with running(command) as next_block:
            # What was printed and not yet committed when it was stopped comes again: delivery is at least once.
            fresh = (block for block in iter(lambda: next_block().split()[2], None) if block not in held)
            assert [next(fresh), next(fresh)] == [new.meta.event_id, last.meta.event_id]


def test_results_follow_the_log_past_a_restart_of_the_broker(log_and_registry: RunningStack) -> None:
    first, second = (structs.replace(made.as_new(made.nodule()), study_uid=f"2.25.{uuid.uuid4().int}") for _ in "12")
    second = structs.replace(second, study_uid=first.study_uid)
    write(log_and_registry, first)
    with running(command_line(log_and_registry, "--study", first.study_uid, "--follow")) as next_block:
        assert next_block().split()[2] == first.meta.event_id
        log_and_registry.kill("kafka")
        log_and_registry.up(("kafka",))
        write(log_and_registry, first, second)
        assert next_block().split()[2] == second.meta.event_id


@pytest.mark.parametrize("option", ["--bootstrap", "--registry", "--contract"])
def test_what_does_not_answer_is_one_line(log_and_registry: RunningStack, java: list[str], option: str) -> None:
    wrong = {"--bootstrap": "127.0.0.1:1", "--registry": "http://127.0.0.1:1/apis/ccompat/v7", "--contract": "nowhere"}
    given = arguments(log_and_registry)
    given[given.index(option) + 1] = wrong[option]
    # At once: each waits for as long as an answer may take.
    both = [subprocess.Popen([*client, *given], stdout=PIPE, stderr=PIPE, text=True) for client in (python(), java)]
    for client in both:
        out, said = client.communicate(timeout=ENDED_S)
        assert (client.returncode, out) == (1, "")
        (line,) = lines_of_its_own(said)
        assert line.startswith(("radstream_results: ", "radstream-results: "))


def test_what_inference_says_is_read_alike(stack: RunningStack, java: list[str]) -> None:
    """One image of a study of its own here; and whatever other tests of this session had analysed, a chest CT maybe."""
    study = f"2.25.{uuid.uuid4().int}"
    Load(stack, [Ct(study=study, instance=f"{study}.1").item()]).finish()
    settled(stack)
    by_python, _ = printed([*python(), *arguments(stack)])
    assert any(f"  study {study}" in block and "outcome out of scope" in block for block in blocks(by_python))
    assert printed([*java, *arguments(stack)])[0] == by_python

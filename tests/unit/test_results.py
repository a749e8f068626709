"""Results as a person reads them: what is read of the log, and the text. The clients' text is held to the same."""

from __future__ import annotations

import ast
import importlib.util
import struct
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from radstream.results_reading import SEEN_MAX, ResultReader
from radstream.results_text import number, text_of
from schemas import load_topics
from streams.events import InferenceResult
from streams.log import LogAway, OffsetOutOfRange
from streams.memory_log import MemoryLog
from streams.wire import SchemaIds
from tests import result_events as made
from tests.event_streams import TENANT, new_log

CLIENT = Path(__file__).resolve().parents[2] / "clients" / "python" / "radstream_results.py"
OURS = {"streams", "producers", "consumers", "gateway", "radstream", "schemas", "infra", "bench", "tests"}


@pytest.fixture(scope="module")
def client() -> Iterator[ModuleType]:
    """The Python client, which is in no package."""
    spec = importlib.util.spec_from_file_location(CLIENT.stem, CLIENT)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def log() -> MemoryLog:
    return new_log()


def reader(log: MemoryLog, **only: object) -> tuple[ResultReader, list[str]]:
    said: list[str] = []
    chosen = {"since": None, "study": None, **only}
    return ResultReader(log, TENANT, skipped=said.append, **chosen), said


def write(log: MemoryLog, *messages: object) -> None:
    made.write(log, SchemaIds(), messages)


def test_the_clients_know_nothing_of_our_code_and_every_topic_of_the_contract(client: ModuleType) -> None:
    tree = ast.parse(CLIENT.read_text(encoding="utf-8"))
    named = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    named |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    tops = {name.partition(".")[0] for name in named}
    assert tops.isdisjoint(OURS)
    assert tops - set(sys.stdlib_module_names) == {"confluent_kafka", "fastavro"}
    wanted = [name for topic in (made.RESULT, made.REVIEW) for name in load_topics().physical(topic)]
    assert list(client.TOPICS) == wanted


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (702.5, "702.5"),
        (-0.0, "0"),
        (0.1 + 0.2, "0.3"),
        (1e-7, "0.0000001"),
        (1_234_567.5, "1234568"),
        (2_234_566.5, "2234566"),
        (999_999.5, "1000000"),
        (0.1234565, "0.123456"),
        (12.0, "12"),
        (1200.0, "1200"),
        (struct.unpack("f", struct.pack("f", 0.94))[0], "0.94"),
        (float("-inf"), "-Infinity"),
        (float("nan"), "NaN"),
    ],
)
def test_numbers_have_one_form(client: ModuleType, value: float, text: str) -> None:
    assert (number(value), client.number_text(value)) == (text, text)


@given(st.floats())
def test_any_number_has_that_form_in_the_client_too(client: ModuleType, value: float) -> None:
    text = number(value)
    assert client.number_text(value) == text
    assert value != value or float(text) == pytest.approx(value, rel=1e-5, abs=0.0)


def test_what_is_in_a_record_does_not_rule_the_terminal() -> None:
    model = structs.replace(made.nodule().model, name="\x1b[2Jnodule\n\u202ect")
    text = text_of(structs.replace(made.nodule(), model=model))
    assert "  model \ufffd[2Jnodule\ufffd\ufffdct 1 by onnxruntime\n" in text


def test_each_event_is_given_once_and_stat_comes_first(log: MemoryLog) -> None:
    routine, stat = made.as_new(made.nodule()), made.as_new(made.nodule(), lane="stat")
    write(log, made.confirmed(), routine, routine, stat)
    results, said = reader(log)
    assert results.round() == [stat, routine, made.confirmed()]
    write(log, stat, later := made.as_new(made.nodule()))
    assert results.round() == [later]
    assert results.round() == []
    assert said == []


def test_only_one_study_one_tenant_or_some_time(log: MemoryLog) -> None:
    # A record is written after its event: by the log's own clock, which is today's.
    now = datetime.now(UTC).replace(microsecond=0)
    first = happened(made.as_new(made.nodule()), now - timedelta(hours=1))
    other = structs.replace(happened(made.as_new(made.nodule()), now), study_uid="2.25.9")
    foreign = made.as_new(made.nodule())
    foreign = structs.replace(foreign, meta=structs.replace(foreign.meta, tenant="elsewhere"))
    write(log, first, other, foreign)
    assert reader(log, study="2.25.9")[0].round() == [other]
    assert reader(log, study=first.study_uid)[0].round() == [first]
    assert reader(log, since=now)[0].round() == [other]
    assert reader(log, since=now + timedelta(hours=1))[0].round() == []


def happened(result: InferenceResult, at: datetime) -> InferenceResult:
    return structs.replace(result, meta=structs.replace(result.meta, occurred_at=at))


def test_a_round_that_breaks_off_loses_nothing(log: MemoryLog) -> None:
    results, _ = reader(log)
    write(log, first := made.as_new(made.nodule()))
    log.away = True
    with pytest.raises(LogAway):
        results.round()
    log.away = False
    assert results.round() == [first]


def test_a_log_that_was_made_anew_is_not_read_on(log: MemoryLog) -> None:
    results, _ = reader(log)
    write(log, made.nodule())
    results.round()
    results.log = new_log()
    with pytest.raises(OffsetOutOfRange, match=r"imaging\.inference\.result/. ends before 1: the log was made anew"):
        results.round()


def test_what_is_foreign_is_said_and_left_out(log: MemoryLog) -> None:
    newer = {**made.headers_of("1"), "schema_subject": made.RESULT, "schema_version": "9"}
    write(log, made.raw(b"{}", {}), made.raw(b"{}", made.headers_of("1")), made.raw(b"{}", newer))
    results, said = reader(log)
    assert results.round() == []
    assert [line.partition(": ")[2] for line in said] == [
        "no ce_id",
        "no schema_subject and schema_version headers",
        "imaging.inference.result version 9 is not known to this version of radstream; install a newer one",
    ]


def test_a_command_that_runs_for_months_forgets_the_oldest(log: MemoryLog) -> None:
    results, _ = reader(log)
    first, second = made.as_new(made.nodule()), made.as_new(made.nodule())
    results._seen = {str(number): None for number in range(SEEN_MAX - 1)}
    write(log, first, second)
    assert results.round() == [first, second]
    assert len(results._seen) == SEEN_MAX
    assert list(results._seen)[-2:] == [first.meta.event_id, second.meta.event_id]

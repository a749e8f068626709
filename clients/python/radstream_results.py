"""Reads results and reviews of radstream as a radiology information system would: from the contract alone.

    python radstream_results.py --bootstrap HOST:PORT --registry URL --contract FOLDER [--group NAME]

Needs confluent-kafka and fastavro, and `schemas/avro` of radstream as FOLDER. Without a group it prints what the topics
hold, in the order of time, and ends. With one it goes on as a member of that group until Ctrl-C. It is also a module to
copy from: `Client(...).held()` and `Client(...).following(group)` give decoded events, `text_of(event)` their text.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

RESULT, REVIEW = "imaging.inference.result", "imaging.review.event"
# The most urgent lane first, then what people said.
TOPICS = (f"{RESULT}.stat", RESULT, f"{RESULT}.bulk", REVIEW)
ANSWER_S = 15.0
YEAR_1_MS, YEAR_10000_MS = -62_135_596_800_000, 253_402_300_800_000


class Failure(Exception):
    """What happened, and to what."""


class Unreadable(Exception):
    """Why a record is left out."""


class Event(NamedTuple):
    """One result or review: its CloudEvents type and id, and the record as `v1.avsc` has it."""

    type: str
    id: str
    record: dict[str, Any]

    @property
    def order(self) -> tuple[int, str]:
        meta = self.record["meta"]
        return meta["occurred_at"], meta["event_id"]


def parse(schema: str) -> Any:
    """Without logical types: a date stays the number that is on the wire, also one that no calendar has."""
    plain = json.loads(schema, object_hook=lambda found: {k: v for k, v in found.items() if k != "logicalType"})
    return fastavro.parse_schema(plain)


class Registry:
    """Schemas by id, from the registry's Confluent-compatible API. Each is asked for once."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._known: dict[int, Any] = {}

    def schema(self, number: int) -> Any:
        """Raises Unreadable where there is none, Failure where the registry does not answer."""
        if number not in self._known:
            self._known[number] = self._ask(number)
        if self._known[number] is None:
            raise Unreadable(f"the registry has no Avro schema {number}")
        return self._known[number]

    def _ask(self, number: int) -> Any:
        try:
            with urllib.request.urlopen(f"{self._url}/schemas/ids/{number}", timeout=ANSWER_S) as answer:  # noqa: S310
                return parse(json.load(answer)["schema"])
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise Failure(f"the schema registry at {self._url} answers {error.code}") from None
        except OSError:
            raise Failure(f"the schema registry at {self._url} does not answer") from None
        except (ValueError, KeyError, TypeError, fastavro.schema.SchemaParseException):
            pass  # another kind of schema
        return None


class Decoder:
    """Records by the contract: reads what any version wrote as version 1, the one that this client knows."""

    def __init__(self, registry: Registry, contract: Path) -> None:
        self._registry = registry
        self._readers = {type_: parse((contract / type_ / "v1.avsc").read_text("utf-8")) for type_ in (RESULT, REVIEW)}

    def event(self, message: Any, seen: set[str]) -> Event | None:
        """The event of a record, or None where it was seen before. Raises Unreadable, Failure."""
        id_, type_ = _header(message, "ce_id"), _header(message, "ce_type")
        if id_ is None:
            raise Unreadable("no ce_id")
        if type_ not in self._readers:
            raise Unreadable(f"ce_type is neither {RESULT} nor {REVIEW}")
        if id_ in seen:
            return None
        event = Event(type_, id_, self._record(message.value(), self._readers[type_]))
        seen.add(id_)
        return event

    def _record(self, value: bytes | None, reader: Any) -> Any:
        # A zero byte, the schema's id in four bytes, then Avro.
        if value is None or len(value) < 5 or value[0] != 0:
            raise Unreadable("not in the Confluent wire format")
        number = int.from_bytes(value[1:5], "big")
        writer, body = self._registry.schema(number), BytesIO(value[5:])
        if not isinstance(writer, dict) or writer.get("name") != reader["name"]:
            raise Unreadable(f"schema {number} is not {reader['name']}")
        try:
            record: Any = fastavro.schemaless_reader(body, writer, reader)
        except (EOFError, ValueError, LookupError, TypeError, OverflowError, fastavro.read.SchemaResolutionError):
            raise Unreadable(f"not a record of schema {number}") from None
        if body.read(1) or not YEAR_1_MS <= record["meta"]["occurred_at"] < YEAR_10000_MS:
            raise Unreadable(f"not a record of schema {number}")
        return record


class Client:
    """`skipped` is told of each record that cannot be read. Delivery is at least once: each event is given once."""

    def __init__(self, bootstrap: str, registry: str, contract: Path, skipped: Callable[[str], None]) -> None:
        self._settings = {"bootstrap.servers": bootstrap, "auto.offset.reset": "earliest", "enable.auto.commit": False}
        self._decoder = Decoder(Registry(registry), contract)
        self._skipped = skipped

    def held(self) -> list[Event]:
        """What the topics hold now, in the order of time. Joins no group and commits nothing."""
        seen: set[str] = set()
        with closing(Consumer({**self._settings, "group.id": "none", "enable.partition.eof": True})) as consumer:
            messages = sorted(self._until_ends(consumer), key=_place)
        return sorted((event for m in messages if (event := self._event(m, seen))), key=lambda event: event.order)

    def following(self, group: str) -> Iterator[Event]:
        """What is written, for ever. A record is committed when the next is asked for: when it was dealt with.

        A group that is new begins at the beginning. What was dealt with and not committed comes again after a restart:
        a system that keeps results has a unique key on the event's id, and that is `seen`.
        """
        seen: set[str] = set()
        with closing(Consumer({**self._settings, "group.id": group})) as consumer:
            consumer.subscribe(list(TOPICS))
            while True:
                message = consumer.poll(1.0)
                if message is None or _is_passing(message.error()):
                    continue
                if event := self._event(message, seen):
                    yield event
                _commit(consumer, message)

    def _until_ends(self, consumer: Consumer) -> Iterator[Message]:
        found = consumer.list_topics(timeout=ANSWER_S).topics
        left = {(topic, number) for topic in TOPICS if topic in found for number in found[topic].partitions}
        consumer.assign([TopicPartition(topic, number, 0) for topic, number in sorted(left)])
        while left:
            message = consumer.poll(ANSWER_S)
            if message is None:
                raise Failure("the broker does not answer")
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                left.discard((message.topic(), message.partition()))
            elif not _is_passing(error):
                yield message

    def _event(self, message: Any, seen: set[str]) -> Event | None:
        try:
            return self._decoder.event(message, seen)
        except Unreadable as why:
            self._skipped(f"skipped {message.topic()}/{message.partition()} offset {message.offset()}: {why}")
            return None


def _place(message: Any) -> tuple[int, int, int]:
    return TOPICS.index(message.topic()), message.partition(), message.offset()


def _header(message: Any, name: str) -> str | None:
    """The last header of that name, as text, or None."""
    found = [value for key, value in message.headers() or () if key == name and value is not None]
    return found[-1].decode("utf-8", "replace") if found else None


def _commit(consumer: Consumer, message: Message) -> None:
    try:
        consumer.commit(message=message, asynchronous=False)
    except KafkaException as error:
        # The next commit says it too, or the record comes again and is known.
        if error.args[0].fatal():
            raise


def _is_passing(error: KafkaError | None) -> bool:
    """Whether there is an error that librdkafka mends by itself: a broker restarts. Raises one that it does not."""
    if error is None:
        return False
    if error.retriable() or error.code() in (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT):
        return True
    raise KafkaException(error)


# The text, as radstream's docs/results.md has it.

UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
EXACT = Context(prec=1100, rounding=ROUND_HALF_EVEN)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def text_of(event: Event) -> str:
    lines = _result(event.record) if event.type == RESULT else _review(event.record)
    return "\n".join(safe(line) for line in (*lines, ""))


def safe(text: str) -> str:
    return UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)


def number_text(value: float) -> str:
    """At most six significant digits, half to even, but whole left of the point."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
    exact = Decimal(value)
    if not exact:
        return "0"
    text = format(exact.quantize(Decimal((0, (1,), min(0, exact.adjusted() - 5))), context=EXACT), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _first(meta: dict[str, Any], kind: str) -> str:
    at = (EPOCH + timedelta(milliseconds=meta["occurred_at"])).isoformat(timespec="milliseconds")
    return f"{at.replace('+00:00', 'Z')} {kind} {meta['event_id']}"


def _result(record: dict[str, Any]) -> Iterator[str]:
    review = " - requires review" if record["requires_review"] else ""
    yield f"{_first(record['meta'], 'result')} {record['status'].upper()}{review}"
    yield f"  study {record['study_uid']}"
    for name, field in (("series", "series_uid"), ("instance", "sop_instance_uid"), ("revision", "revision")):
        if record[field] is not None:
            yield f"  {name} {record[field]}"
    model, findings = record["model"], record["findings"]
    yield f"  model {model['name']} {model['version']} by {model['backend']}"
    yield f"  generation {record['provenance']['generation']}, lane {record['meta']['lane']}"
    outcome = record["outcome"].replace("_", " ") + (f", {record['code']}" if record["code"] else "")
    counted = f"; {_count(len(findings), 'finding')}" if record["outcome"] == "analysed" else ""
    yield f"  outcome {outcome}: {_count(record['input_count'], 'image')}{counted}"
    if record["detail"]:
        yield f"  {record['detail']}"
    yield from _findings(findings)
    for made in record["objects"]:
        uids = made["instance"]
        yield f"  {made['kind']} {uids['sop_instance_uid']} in series {uids['series_uid']}"


def _review(record: dict[str, Any]) -> Iterator[str]:
    yield f"{_first(record['meta'], 'review')} {record['verdict']} by {record['reviewer']}"
    yield f"  study {record['study_uid']}"
    yield f"  of result {record['result_event_id']}"
    yield f"  of {'the whole result' if record['finding_id'] is None else 'finding ' + record['finding_id']}"
    if record["note"] is not None:
        yield "  with a note"
    yield from _findings(record["findings"])


def _findings(findings: list[dict[str, Any]]) -> Iterator[str]:
    for finding in findings:
        yield f"  finding {finding['finding_id']}"
        yield f"    {finding['category']}: {_code(finding['code'])}"
        if finding["location"] is not None:
            yield f"    location {_code(finding['location'])}"
        confidence = finding["confidence"]
        sure = "" if confidence is None else f", confidence {number_text(confidence)}"
        yield f"    severity {finding['severity']}{sure}"
        for measured in finding["measurements"]:
            yield f"    {_code(measured['code'])} {number_text(measured['value'])} {measured['unit']['value']}"
        if finding["geometry"] is not None:
            yield f"    {_geometry(finding['geometry'])}"


def _geometry(geometry: dict[str, Any]) -> str:
    numbers = [number_text(value) for value in geometry["points"]]
    points = (", ".join(numbers[at : at + 3]) for at in range(0, len(numbers), 3))
    placed = " to ".join(f"({point})" for point in points)
    return f"{geometry['kind']} {placed} mm on {_count(len(geometry['images']), 'image')}"


def _code(code: dict[str, str]) -> str:
    return f"{code['meaning']} ({code['scheme']} {code['value']})"


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Prints what models found, and what people said of it.")
    parser.add_argument("--bootstrap", required=True, metavar="HOST:PORT")
    parser.add_argument("--registry", required=True, metavar="URL")
    parser.add_argument("--contract", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--group", metavar="NAME")
    given = parser.parse_args()
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]
    try:
        client = Client(given.bootstrap, given.registry, given.contract, lambda why: print(why, file=sys.stderr))  # noqa: T201
        for event in client.following(given.group) if given.group else client.held():
            print(text_of(event), flush=True)  # noqa: T201
    except KeyboardInterrupt:
        return
    except (Failure, OSError) as why:
        sys.exit(f"radstream_results: {why}")
    except KafkaException as error:
        sys.exit(f"radstream_results: Kafka: {error.args[0].str()}")


if __name__ == "__main__":
    main()

"""The doctor says of destinations that the rules had once: a new name is another destination."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

from confluent_kafka import KafkaError, KafkaException

from radstream.checks.check import Check
from radstream.checks.destinations import gone

KNOWN = frozenset({"forward", "forward.pacs", "forward.mpps", "validate"})


def looked_at(*groups: str, error: KafkaError | None = None) -> list[Check]:
    future: Future[Any] = Future()
    if error is None:
        future.set_result(SimpleNamespace(valid=[SimpleNamespace(group_id=name) for name in groups]))
    else:
        future.set_exception(KafkaException(error))
    client = SimpleNamespace(list_consumer_groups=lambda **_: future)
    return list(gone(cast(Any, client), KNOWN))


def test_what_waits_for_a_name_that_is_gone_is_said() -> None:
    (found,) = looked_at(*KNOWN, "forward.old-pacs", "redrive.forward.pacs", "somebody.else")
    assert (found.name, found.state) == ("forward.old-pacs", "note")
    assert "no destination old-pacs" in found.found
    assert "--delete --group forward.old-pacs" in found.mend


def test_a_site_as_its_rules_say_and_a_broker_that_does_not_tell_are_no_news() -> None:
    assert looked_at(*KNOWN) == []
    assert looked_at(error=KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED)) == []

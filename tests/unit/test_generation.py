"""A step's generation: the same number for the same code, configuration and models; another for any other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from streams.clock import SystemClock
from streams.config import Site
from streams.generation import TOPIC, StepIdentity, claim, of_facts
from streams.log import TopicPartition
from streams.memory_log import MemoryLog
from streams.wire import SchemaIds

HERE = Site(tenant="hospital", site="north")


def log() -> MemoryLog:
    made = MemoryLog()
    made.create_topic(TOPIC, 1)
    return made


def claimed(
    log: MemoryLog,
    step: str = "derive",
    code: int = 1,
    config: str = "c",
    models: tuple[str, ...] = (),
    site: Site = HERE,
) -> StepIdentity:
    return claim(
        log, SchemaIds(), site, SystemClock(), step=step, code_version=code, config_digest=config, models=models
    )


def test_the_first_is_1_and_a_restart_has_it_again() -> None:
    there = log()
    assert [claimed(there).generation for _ in range(3)] == [1, 1, 1]
    assert there.bounds([TopicPartition(TOPIC, 0)])[TopicPartition(TOPIC, 0)] == (0, 1)


def test_code_configuration_and_models_each_make_a_new_one_and_going_back_has_the_old() -> None:
    there = log()
    assert claimed(there).generation == 1
    assert claimed(there, code=2).generation == 2
    assert claimed(there, config="d").generation == 3
    assert claimed(there, models=("m",)).generation == 4
    assert claimed(there).generation == 1


def test_steps_and_tenants_count_for_themselves() -> None:
    there = log()
    assert claimed(there).generation == 1
    assert claimed(there, step="validate").generation == 1
    assert claimed(there, site=Site(tenant="clinic", site="south")).generation == 1


def test_many_at_once_get_one_number_for_each_digest() -> None:
    there = log()
    with ThreadPoolExecutor(16) as pool:
        got = list(pool.map(lambda n: claimed(there, code=n % 4), range(32)))
    by_code = {code: {identity.generation for identity in got[code::4]} for code in range(4)}
    assert all(len(numbers) == 1 for numbers in by_code.values())
    assert sorted(number for numbers in by_code.values() for number in numbers) == [1, 2, 3, 4]


def test_ids_differ_by_generation_and_facts_have_generation_0() -> None:
    there = log()
    first, second = claimed(there), claimed(there, code=2)
    assert first.event_id("hospital", "digest", 0) != second.event_id("hospital", "digest", 0)
    assert first.event_id("hospital", "digest", 0) == claimed(there).event_id("hospital", "digest", 0)
    assert of_facts("dicom_router").generation == 0

"""The topics and grants of the cloud are those of topics.yaml, as Terraform itself works them out."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.local.topics import Wanted, wanted
from schemas import load_topics
from streams.deadletters import REDRIVE
from streams.events import SUBJECTS, ImportDecision
from streams.replays import group_of
from tests import terraform

SERVICES = yaml.safe_load((terraform.TREE / "services.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    where = terraform.copied(tmp_path_factory.mktemp("topics")) / "modules" / "topic_list"
    terraform.initialised(where)
    return terraform.evaluated(where, "{topics = local.topics, access = local.access, lanes = local.listed.lanes}")


def test_every_topic_is_as_the_local_stack_has_it_with_three_brokers(found: Any) -> None:
    """But for the number of partitions, which topics.yaml says for production too, and a setting of brokers here."""
    listed = load_topics()
    expected = {
        name: Wanted(
            1 if listed.topics[listed.logical(name)].kind == "single" else listed.partitions["production"],
            want.copies,
            {**want.config, "unclean.leader.election.enable": "false"},
        )
        for name, want in wanted(brokers=3).items()
    }
    made = {
        name: Wanted(topic["partitions"], topic["replication_factor"], topic["config"])
        for name, topic in found["topics"].items()
    }
    assert made == expected
    assert tuple(found["lanes"]) == listed.lanes


def test_a_group_may_read_what_topics_yaml_says_and_nothing_else(found: Any) -> None:
    listed = load_topics()
    for group in listed.groups:
        extra = named(SERVICES["services"][group]["reads"])
        dead_letters = listed.of_group("imaging.deadletter", group)
        assert set(found["access"][group]["read"]) == {*listed.read_by(group), dead_letters, *extra}


def test_what_is_from_outside_can_be_sent_on_in_the_cloud_too(found: Any) -> None:
    """The forwarder asks whose a study is, and who reconciles it puts its records where the forwarder reads them."""
    listed = load_topics()
    assert SUBJECTS[ImportDecision] in found["access"]["forward"]["read"]
    assert listed.of_group("imaging.retry", "forward") in found["access"]["operator"]["write"]


def test_a_service_may_write_what_it_owns_and_what_it_says_and_nothing_else(found: Any) -> None:
    listed = load_topics()
    for service, entry in SERVICES["services"].items():
        owned = [name for name, topic in listed.topics.items() if topic.owner == entry["module"].replace(".", "/")]
        aside = [
            name
            for topic in ("imaging.retry", "imaging.deadletter")
            for name in listed.physical(topic)
            if name == listed.of_group(topic, service)
        ]
        assert set(found["access"][service]["write"]) == {*named(owned), *named(entry["writes"]), *aside}


def test_every_topic_has_somebody_who_may_write_it(found: Any) -> None:
    writable = {name for access in found["access"].values() for name in access["write"]}
    assert writable == set(wanted(brokers=3))


def test_only_who_looks_at_all_reads_everything_and_only_who_mends_it_writes_everything(found: Any) -> None:
    everything = set(wanted(brokers=3))

    def of_all(right: str) -> set[str]:
        return {name for name, access in found["access"].items() if set(access[right]) == everything}

    assert of_all("read") == {"lag", "operator", "repair"}
    assert of_all("write") == {"repair"}


def test_groups_of_redrives_and_replays_are_joined_by_who_mends(found: Any) -> None:
    """As `streams.redriving_group` and `streams.replays` name them."""
    prefixes = {name: tuple(access["groups"]) for name, access in found["access"].items() if access["groups"]}
    assert prefixes.keys() == {"repair"}
    for group in load_topics().groups:
        assert f"{REDRIVE}.{group}".startswith(prefixes["repair"])
        assert group_of(group, 7).startswith(prefixes["repair"])


def named(topics: Collection[str]) -> set[str]:
    listed = load_topics()
    if "all" in topics:
        return set(wanted(brokers=3))
    return {physical for topic in topics for physical in listed.physical(topic)}


def test_the_plan_of_topics_and_grants(tmp_path: Path) -> None:
    terraform.plugins("Mongey/kafka")
    where = terraform.copied(tmp_path) / "environments" / "example" / "topics"
    terraform.initialised(where, "Mongey/kafka")
    messages = terraform.tested(where)
    plan = dict(terraform.planned(messages, "as_topics_yaml_says"))
    topics = {values["name"] for values in plan.values() if "partitions" in values}
    assert topics == set(wanted(brokers=3))
    grants = [values for values in plan.values() if "acl_principal" in values]
    assert {one["acl_principal"] for one in grants} == {
        f"User:{name}" for name in (*SERVICES["services"], *SERVICES["accounts"])
    }
    assert {one["resource_name"] for one in grants if one["resource_type"] == "Topic"} <= topics
    assert all(one["acl_permission_type"] == "Allow" and one["resource_name"] != "*" for one in grants)
    assert {one["acl_operation"] for one in grants} == {"Read", "Write", "Describe"}

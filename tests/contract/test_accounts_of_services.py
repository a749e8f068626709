"""The accounts of the cloud have what the code of each service, and of the command line, reads and writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
import yaml

from schemas import load_topics
from tests import terraform
from tests.accounts_of_code import made_in, modules_below, named_in, reached

LISTED = yaml.safe_load((terraform.TREE / "services.yaml").read_text(encoding="utf-8"))
SERVICES, ACCOUNTS = LISTED["services"], LISTED["accounts"]
TOPICS = load_topics()

# Modules that list every topic, or name the topics of kind group: each group has its own of those without being told.
OF_ALL = {"streams.events", "schemas.topics", "streams.deadletters", "streams.parking"}
# Made in a module that a service loads for something else.
NOT_RUN: Mapping[str, Mapping[str, str]] = {
    "streams.revisions.step": {
        "validate": "how a revision lists its instances",
        "ai": "how a revision lists its instances",
        "chains": "how a revision lists its instances",
    },
    "streams.held": {"chains": "how a revision lists its instances"},
    "streams.working": {
        "ai": "no step of it holds an instance: it reads copies by streams.fetching.read_copy",
        "forward": "what is damaged is a dead letter (consumers/forward/stored.py)",
        "commitment": "it fetches nothing",
    },
    "streams.generation": dict.fromkeys(
        ("chains", "catalog", "commitment", "gateway", "retrieve", "lag", "windows"),
        "only services that call `claimed` write a generation",
    ),
}
# What commands make for an account that is not the operator's, or for no topic of the event's own.
OF_COMMANDS: Mapping[str, str] = {
    "producers.dicom_router.archive": "reconcile --publish: repair",
    "consumers.validate.step": "replay run: into imaging.replay",
    "consumers.validate.releasing": "replay run: into imaging.replay",
    "consumers.derive.step": "replay run: into imaging.replay",
    "streams.working": "replay run: into imaging.replay",
    "streams.revisions.step": "how a revision lists its instances",
    "streams.chains.step": "verify works out what the chain should be",
    "streams.chains.signing": "verify reads heads",
    "radstream.quarantine_log": "how the quarantine lists what a person rejected and nothing held; never written",
}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_write_every_event_that_its_code_makes(service: str) -> None:
    made = made_in(reached(f"{SERVICES[service]['module']}.__main__"))
    missing = {
        topic: sorted(where)
        for topic, modules in made.items()
        if topic not in written_by(service)
        and (where := {one for one in modules if service not in NOT_RUN.get(one, {})})
    }
    assert missing == {}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_write_nothing_that_its_code_does_not_make(service: str) -> None:
    private = {name for name, topic in TOPICS.topics.items() if topic.kind == "private"}
    assert written_by(service) - made_in(reached(f"{SERVICES[service]['module']}.__main__")).keys() <= private


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_read_every_topic_that_its_code_names(service: str) -> None:
    entry = SERVICES[service]
    named = named_in(reached(f"{entry['module']}.__main__") - OF_ALL)
    own = TOPICS.groups[service].reads if service in TOPICS.groups else ()
    apart = TOPICS.groups[service].apart.values() if service in TOPICS.groups else ()
    readable = {*own, *(topic for topics in apart for topic in topics), *entry["reads"], *written_by(service)}
    missing = {
        topic: sorted(where)
        for topic, modules in named.items()
        if topic not in readable and (where := {one for one in modules if service not in NOT_RUN.get(one, {})})
    }
    assert missing == {} or "all" in entry["reads"]


def test_the_operator_may_write_every_event_that_commands_make() -> None:
    made = made_in(reached(*modules_below("radstream")))
    missing = {
        topic: sorted(where)
        for topic, modules in made.items()
        if topic not in granted("operator", ACCOUNTS) and (where := modules - OF_COMMANDS.keys())
    }
    assert missing == {}


def test_the_operator_may_write_nothing_that_commands_do_not_make() -> None:
    made = made_in(reached(*modules_below("radstream"))).keys()
    # Other topics' bytes: `replay run`, and what waited for `imports reconcile` and `quarantine release`.
    assert set(granted("operator", ACCOUNTS)) - made == {"imaging.replay", "imaging.retry"}


def test_every_exception_is_needed() -> None:
    reachable = {service: reached(f"{entry['module']}.__main__") for service, entry in SERVICES.items()}
    for module, services in NOT_RUN.items():
        assert {service for service in services if module not in reachable[service]} == set(), module
    assert OF_COMMANDS.keys() <= reached(*modules_below("radstream"))


def written_by(service: str) -> set[str]:
    return set(granted(service, SERVICES))


def granted(name: str, listed: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    """Topics that an account may write, by their names in topics.yaml; its group's own come by themselves."""
    owner, writes = str(listed[name]["module"]).replace(".", "/"), listed[name]["writes"]
    yield from (topic for topic, entry in TOPICS.topics.items() if entry.owner == owner)
    assert isinstance(writes, list)
    yield from writes

"""topics.yaml says only what is so: subjects and owners exist, groups read topics that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas import load_subjects, load_topics

ROOT = Path(__file__).resolve().parents[2]
TOPICS = load_topics()


@pytest.mark.parametrize("name", TOPICS.topics)
def test_a_topic_carries_a_subject_of_its_name_or_the_bytes_of_another(name: str) -> None:
    topic = TOPICS.topics[name]
    assert (topic.kind in ("group", "replay", "private")) == (topic.subject is None)
    assert topic.subject in (None, name)


def test_every_subject_has_a_topic() -> None:
    assert {topic.subject for topic in TOPICS.topics.values() if topic.subject} == set(load_subjects())


@pytest.mark.parametrize("name", TOPICS.topics)
def test_the_owner_is_a_folder_or_a_module(name: str) -> None:
    owner = ROOT / TOPICS.topics[name].owner
    assert owner.is_dir() or owner.with_suffix(".py").is_file(), owner


@pytest.mark.parametrize("name", TOPICS.readers)
def test_a_group_reads_topics_that_are_there(name: str) -> None:
    physical = {topic for entry in TOPICS.topics for topic in TOPICS.physical(entry)}
    assert set(TOPICS.groups[TOPICS.entry_of(name)].reads) <= set(TOPICS.topics)
    assert set(TOPICS.read_by(name)) <= physical


def test_a_member_apart_reads_its_own_and_shares_the_dead_letters_of_its_entry() -> None:
    assert TOPICS.read_by("forward.mpps") == ("imaging.mpps.event",)
    assert "imaging.mpps.event" not in TOPICS.read_by("forward.pacs")
    assert TOPICS.of_group("imaging.deadletter", "forward.mpps") == "imaging.deadletter.forward"


@pytest.mark.parametrize("name", [name for name, topic in TOPICS.topics.items() if topic.truth])
def test_a_topic_of_truth_forgets_nothing(name: str) -> None:
    assert TOPICS.topics[name].config["cleanup.policy"] == "delete"
    assert TOPICS.topics[name].config["retention.ms"] == "-1"


def test_every_physical_topic_leads_back_to_its_entry() -> None:
    for entry in TOPICS.topics:
        for physical in TOPICS.physical(entry):
            assert TOPICS.logical(physical) == entry
            # Kafka's limit; and its metrics cannot tell '.' from '_'.
            assert len(physical) <= 249
            assert "_" not in physical

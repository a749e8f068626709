"""The policy is a function of what is known and of a time: what it never asks for, whatever is known."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.tiering.explain import explain
from consumers.tiering.policy import Move, Policy, Stay, Tier, load_policy, releasable, target
from consumers.tiering.study import INSTANCES_MAX, Held, Study, held_by
from streams.config import ConfigError
from streams.events import TierCopy, TierItem
from tests.tiering_world import POLICY, START, days

STORES = ("hot", "warm", "cold", "backup")
times = st.integers(0, 6000).map(days)
copies = st.builds(TierCopy, store=st.sampled_from(STORES), verified=st.booleans(), version_id=st.just("v"))
items = st.builds(
    TierItem,
    series_uid=st.just("1"),
    sop_instance_uid=st.just("1"),
    digest=st.uuids().map(str),
    size=st.just(1),
    copies=st.lists(copies, unique_by=lambda copy: copy.store).map(tuple),
)


@st.composite
def studies(draw: st.DrawFn) -> Study:
    listed = draw(st.lists(items, max_size=3))
    newest = draw(st.integers(0, 5))
    return Study(
        revision=1,
        revision_offset=newest,
        instances=max(1, len(listed)),
        received_at=draw(times),
        accessed_at=draw(st.none() | times),
        holds=draw(st.sampled_from([(), ("court",)])),
        seq=1,
        phase="released",
        source="hot",
        listed=len(listed),
        held=held_by(listed),
        covered=newest if draw(st.booleans()) else newest - 1,
        failed=draw(st.booleans()),
        decided_at=draw(times),
    )


def moved(study: Study, move: Move) -> Study:
    """As the study is once the move was made."""
    count = study.listed or study.instances
    there = {held.store: held for held in study.held if held.store != move.source}
    there[move.target] = Held(move.target, count, count)
    if move.source is None:
        there.setdefault("hot", Held("hot", count, count)) if not study.is_listed else None
    held = tuple(there[name] for name in sorted(there))
    return msgspec.structs.replace(study, listed=count, held=held, covered=study.revision_offset, failed=False)


@given(studies(), times, st.booleans())
def test_a_hold_forbids_every_move_that_releases(study: Study, now: datetime, retry: bool) -> None:
    study.holds = ("court",)
    wanted = target(POLICY, study, now, retry=retry)
    assert not isinstance(wanted, Move) or wanted.source is None


@given(studies(), times, st.booleans())
def test_bytes_only_go_down(study: Study, now: datetime, retry: bool) -> None:
    wanted = target(POLICY, study, now, retry=retry)
    if isinstance(wanted, Move) and wanted.source is not None:
        assert POLICY.place(wanted.target) > POLICY.place(wanted.source)


@given(studies(), times, st.integers(0, 29), st.booleans())
def test_a_read_keeps_what_is_hot_in_hot(study: Study, read_at: datetime, after: int, retry: bool) -> None:
    study.accessed_at = read_at
    wanted = target(POLICY, study, read_at + timedelta(days=after), retry=retry)
    assert not isinstance(wanted, Move) or wanted.source is None


@given(studies(), times, st.booleans())
def test_nothing_is_released_before_every_instance_has_its_backup(study: Study, now: datetime, retry: bool) -> None:
    wanted = target(POLICY, study, now, retry=retry)
    if isinstance(wanted, Move) and wanted.source is not None:
        assert study.is_listed
        assert study.verified_in("backup") == study.listed


@given(studies(), times)
def test_the_moves_for_one_time_come_to_an_end(study: Study, now: datetime) -> None:
    for _ in range(5):
        wanted = target(POLICY, study, now, retry=True)
        if isinstance(wanted, Stay):
            return
        study = moved(study, wanted)
    raise AssertionError("it moves for ever")


@given(items, st.sampled_from(STORES), st.integers(1, 2))
def test_an_item_is_released_only_with_the_promised_verified_copies_besides(
    item: TierItem, source: str, promised: int
) -> None:
    policy = msgspec.structs.replace(POLICY, copies=promised)
    others = {copy.store for copy in item.copies if copy.verified} - {source}
    assert releasable(item, source, policy) == (len(others) >= promised)


@given(studies(), times)
def test_whatever_is_known_can_be_explained(study: Study, now: datetime) -> None:
    found = explain("t", "1.2", study, POLICY, now)
    assert found.why
    assert (found.target is None) == (found.wants == "stay")
    assert not study.holds or found.source is None


def a_study(**changes: object) -> Study:
    base = Study(revision=1, revision_offset=0, instances=1, received_at=START, listed=1, covered=0, seq=3, move=1)
    base.held = (Held("backup", 1, 1), Held("hot", 1, 1))
    base.phase, base.target, base.decided_at = "verified", "backup", START
    for name, value in changes.items():
        setattr(base, name, value)
    return base


@pytest.mark.parametrize(
    ("study", "day", "why", "why_not"),
    [
        (a_study(), 1, "it is where its age and its last use want it", ""),
        (a_study(), 31, "it was neither received nor read for 30 days: it goes from hot to warm", ""),
        (
            a_study(holds=("court",)),
            31,
            "its age wants it elsewhere",
            "held by court; nothing is released under a hold",
        ),
        (
            a_study(instances=INSTANCES_MAX + 1),
            31,
            "it stays where it is",
            f"it has {INSTANCES_MAX + 1} instances; {INSTANCES_MAX} are moved at most",
        ),
        (a_study(revision_offset=1), 1, "not every instance has a verified copy in backup", ""),
        (a_study(phase="copied", source="hot", target="warm", move=2), 31, "move 2 to warm is under way: copied", ""),
        (Study(), 1, "it has no revision yet", "a study has its first revision when it was quiet for a while"),
        (
            a_study(failed=True, held=(Held("hot", 1, 1),)),
            0.5,
            "the last move failed",
            "see the log of the service; 1 instances have no verified copy in backup; it is tried again by itself, "
            "or by tier run",
        ),
    ],
)
def test_why_a_study_is_where_it_is(study: Study, day: float, why: str, why_not: str) -> None:
    found = explain("t", "1.2", study, POLICY, days(day))
    assert (found.why, found.why_not) == (why, why_not)


def test_when_it_goes_is_said() -> None:
    assert explain("t", "1.2", a_study(), POLICY, days(1)).due_at == days(30)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("copies = 3\nbackup = 'b'\n[[stores]]\nname='hot'", "more copies are promised than there are"),
        ("copies = 2\n[[stores]]\nname='hot'", "more copies are promised than there are"),
        ("copies = 1\n[[stores]]\nname='hot'\n[[stores]]\nname='warm'", "every store but the last has days"),
        ("copies = 1\n[[stores]]\nname='hot'\ndays=3", "every store but the last has days"),
        (
            "copies = 1\n[[stores]]\nname='a'\ndays=3\n[[stores]]\nname='b'\ndays=3\n[[stores]]\nname='c'",
            "must be more than",
        ),
        ("copies = 1\nbackup='a'\n[[stores]]\nname='a'", "named twice"),
        ("copies = 1\ncopiess = 1\n[[stores]]\nname='a'", "unknown field"),
        ("copies =", "Invalid value"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ConfigError, match=says):
        load_policy(tmp_path / "mine.toml")


def test_two_files_that_say_the_same_have_one_digest(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        "backup='backup'\ncopies = 2\nstores=[{name='hot', days=30},{name='warm',days=2557},{name='cold'}]"
    )
    assert load_policy(tmp_path / "mine.toml").digest == POLICY.digest
    other = Policy(copies=2, backup="backup", stores=(Tier(name="hot"),))
    assert other.digest != POLICY.digest


def test_a_policy_that_is_not_there_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_policy(tmp_path / "none.toml")

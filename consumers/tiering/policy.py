"""The policy: where a study is to be kept, as a function of what is known of it and of a time."""

from __future__ import annotations

import hashlib
import itertools
import tomllib
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from consumers.tiering.study import INSTANCES_MAX, Study
from streams.config import ConfigError, Section
from streams.events import TierItem

# A move that failed is tried again after this time by itself, and at once when a person asks.
AGAIN = timedelta(days=1)
# Where the router puts what it receives.
INTO = "hot"


class Tier(Section, frozen=True, kw_only=True):
    """`days` since the last use; absent for the last tier."""

    name: str
    days: Annotated[int, msgspec.Meta(ge=1)] | None = None


class Policy(Section, frozen=True, kw_only=True):
    """`copies` of each instance must be verified before another one is deleted. `digest` is of what is set here.

    What was restored stays for `restored_days`, and longer where it is read: then it is as any other study.
    """

    copies: Annotated[int, msgspec.Meta(ge=1)]
    stores: Annotated[tuple[Tier, ...], msgspec.Meta(min_length=1)]
    backup: str | None = None
    restored_days: Annotated[int, msgspec.Meta(ge=1)] = 7

    def __post_init__(self) -> None:
        days = [tier.days for tier in self.stores]
        lasting = [count for count in days[:-1] if count is not None]
        if days[-1] is not None or len(lasting) < len(days) - 1:
            raise ValueError("every store but the last has days")
        if any(earlier >= later for earlier, later in itertools.pairwise(lasting)):
            raise ValueError("the days of each store must be more than those of the one before")
        if len(set(self.names)) < len(self.names):
            raise ValueError("a store is named twice")
        if self.copies > (1 if self.backup is None else 2):
            raise ValueError("more copies are promised than there are: one, and one more with a backup")

    @property
    def names(self) -> tuple[str, ...]:
        """Every store, the most urgent first; the backup is the last."""
        tiers = tuple(tier.name for tier in self.stores)
        return tiers if self.backup is None else (*tiers, self.backup)

    @property
    def digest(self) -> str:
        """SHA-256 (hex): two files that say the same have one."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()

    def place(self, store: str) -> int:
        """How far down a store is; -1 for one that is no tier."""
        return next((place for place, tier in enumerate(self.stores) if tier.name == store), -1)


@dataclass(frozen=True)
class Move:
    """What is to be done. A backup leaves no source."""

    why: Literal["backup", "age", "recall", "other"]
    source: str | None
    target: str


@dataclass(frozen=True)
class Stay:
    """Nothing is to be done, why, and until when, where time alone changes it."""

    why: Literal["no_revision", "too_large", "in_place", "restored", "held", "failed"]
    until: datetime | None = None


def load_policy(path: Path | None = None) -> Policy:
    """The policy in a file, or the packaged one. Raises ConfigError."""
    if path is None:
        return _read("policy.toml", files("consumers").joinpath("tiering", "policy.toml").read_text(encoding="utf-8"))
    try:
        return _read(str(path), path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: the policy cannot be read ({type(error).__name__}); mend [tiering] policy"
        ) from None


def _read(name: str, text: str) -> Policy:
    try:
        return msgspec.convert(tomllib.loads(text), Policy)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{name}: not a policy: {error}") from None


def target(policy: Policy, study: Study, now: datetime, *, retry: bool) -> Move | Stay:
    """The next move of a study of which none is under way, or why there is none at that time.

    `retry`: what failed may be tried again.
    """
    if study.received_at is None:
        return Stay("no_revision")
    if study.instances > INSTANCES_MAX:
        return Stay("too_large")
    if study.failed and study.is_listed and not retry:
        return Stay("failed", again_at(study))
    if policy.backup is not None and lacks_backup(policy, study):
        return Move("backup", None, policy.backup)
    return by_age(policy, study, now)


def by_age(policy: Policy, study: Study, now: datetime) -> Move | Stay:
    """What age and use want. Bytes only go down by it; what is archived comes back when a command asks for it."""
    wanted, until = tier_at(policy, study, now)
    stays_until = study.restored_at and study.restored_at + timedelta(days=policy.restored_days)
    if stays_until and now < stays_until and study.is_in(INTO):
        return Stay("restored", stays_until) if wanted != INTO else Stay("in_place", until)
    wanted = kept_below(policy, study, wanted)
    above = [tier.name for tier in policy.stores[: policy.place(wanted)] if holds_bytes(study, tier.name)]
    if not above:
        return Stay("in_place", until)
    if study.holds:
        return Stay("held")
    return Move("age", above[0], wanted)


def kept_below(policy: Policy, study: Study, wanted: str) -> str:
    """The tier from `wanted` on that has all of the study already: what was restored goes back to where it is kept."""
    if wanted == INTO or not study.is_listed:
        return wanted
    below = policy.stores[policy.place(wanted) :]
    return next((tier.name for tier in below if study.verified_in(tier.name) == study.listed), wanted)


def lacks_backup(policy: Policy, study: Study) -> bool:
    """Whether an instance has no verified copy in the backup store."""
    return policy.backup is not None and not (study.is_listed and study.verified_in(policy.backup) == study.listed)


def again_at(study: Study) -> datetime:
    """When a move that failed is tried again."""
    if study.decided_at is None:
        raise ValueError("nothing was decided")
    return study.decided_at + AGAIN


def tier_at(policy: Policy, study: Study, now: datetime) -> tuple[str, datetime | None]:
    """The tier for a study that was last used when it was, and when the next one is due."""
    used_at = study.last_used_at or now
    for tier in policy.stores:
        if tier.days is None or now < used_at + timedelta(days=tier.days):
            return tier.name, None if tier.days is None else used_at + timedelta(days=tier.days)
    raise ValueError("a policy's last store has no end")


def holds_bytes(study: Study, store: str) -> bool:
    """Whether instances of the study are in a store: new ones come into the hot one."""
    return study.is_in(store) or (store == INTO and not study.is_listed)


def releasable(item: TierItem, source: str, policy: Policy) -> bool:
    """Whether so many copies as were promised are verified, the one in `source` not counted."""
    return sum(copy.verified for copy in item.copies if copy.store != source) >= policy.copies

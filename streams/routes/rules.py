"""A site's rules, as they stand in its file. Every rule whose conditions all hold applies; none of them discards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas import Lane
from streams.config import Section
from streams.nodes import Node
from streams.titles import AeTitle

# Part of the name of a consumer group, forward.<name>, and a label of metrics.
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
# One pattern or several, of which one has to fit. '*' stands for any characters, '?' for one.
Patterns = str | tuple[str, ...]
# Issuer of Patient ID (0010,0021), VR LO.
Issuer = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[ -\[\]-~]*[!-\[\]-~]$")]
Seconds = Annotated[float, Meta(gt=0, le=3600)]


class Destination(Node, frozen=True, kw_only=True):
    """A node that instances go to. `associations` are open at once: of several, studies go side by side, each in order.

    A node that is silent for `answer_s` loses its association; one that has nothing to do is released after `idle_s`.
    `outside`: studies from outside go under their identity here, once a person has said which it is; or as they came.
    """

    calling_ae: AeTitle = "RADSTREAM"
    associations: Annotated[int, Meta(ge=1, le=16)] = 1
    answer_s: Seconds = 30.0
    idle_s: Seconds = 10.0
    outside: Literal["reconciled", "as_it_came"] = "reconciled"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.commitment_port is not None:
            raise ValueError("commitment_port is of a node in the file of nodes: no destination is told of commitment")


class Match(Section, frozen=True, kw_only=True):
    """Conditions. `tags` are by keyword or (gggg,eeee), of the top level of the data set."""

    calling_ae: Patterns = ()
    called_ae: Patterns = ()
    modality: Patterns = ()
    body_part: Patterns = ()
    sop_class: Patterns = ()
    transfer_syntax: Patterns = ()
    tags: Mapping[str, Patterns] = msgspec.field(default_factory=dict)


class Rule(Section, frozen=True, kw_only=True):
    """`hold` is the reason of the hold that is placed on the study; what must not be forwarded is not, by any rule.

    `outside`: what fits was made elsewhere, and patient IDs in it that name no issuer are of this one.
    """

    name: Name
    match: Match = Match()
    forward: tuple[str, ...] = ()
    do_not_forward: tuple[str, ...] = ()
    lane: Lane | None = None
    tag: tuple[Name, ...] = ()
    hold: Annotated[str, Meta(min_length=1, max_length=4000)] | None = None
    outside: Issuer | None = None

    @property
    def acts(self) -> bool:
        return bool(self.forward or self.do_not_forward or self.tag or self.lane or self.hold or self.outside)


class Rules(Section, frozen=True, kw_only=True):
    destinations: Mapping[str, Destination] = msgspec.field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

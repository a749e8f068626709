"""The radiology information system (RIS) that fills a site's orders: which node of the site it is, and its group.

[ris]
node = "ris"

The node is in the file of nodes (`streams.nodes`). What modalities say of performed steps goes there (PS3.4 annex F).
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from streams.config import Config, Section
from streams.nodes import NodeName
from streams.titles import AeTitle

SECTION: Final = "ris"
# A member of `forward` that reads performed steps instead of instances (schemas/avro/topics.yaml).
MEMBER: Final = "mpps"
GROUP: Final = f"forward.{MEMBER}"


class Settings(Section, frozen=True, kw_only=True):
    """Times are in seconds. A RIS that is silent for `answer_s` loses its association, and is asked again."""

    node: NodeName
    calling_ae: AeTitle = "RADSTREAM"
    answer_s: Annotated[float, Meta(gt=0, le=600)] = 30.0


def of_site(config: Config) -> Settings | None:
    """None for a site that names no RIS. Raises ConfigError for a section that cannot be used."""
    return config.section(SECTION, Settings) if SECTION in config.names else None

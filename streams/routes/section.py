"""Section [routes] of the configuration, and the consumer groups that a site has by its rules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from schemas import load_topics
from streams import ris
from streams.config import Config, Section
from streams.routes.reading import read
from streams.routes.rules import Destination

SECTION = "routes"
FORWARD = "forward"


class Settings(Section, frozen=True, kw_only=True):
    """`file` holds the rules."""

    file: Path | None = None


def file_of(config: Config) -> Path | None:
    """The site's rules file, or None: a site may do without. Raises ConfigError."""
    if SECTION not in config.names:
        return None
    return config.section(SECTION, Settings).file


def destinations_of(config: Config) -> Mapping[str, Destination]:
    """Without the vocabulary of DICOM, which who looks at lag does not need. Raises ConfigError."""
    path = file_of(config)
    return {} if path is None else read(path)[0].destinations


def group_of(destination: str) -> str:
    """The consumer group of a destination: its own place in the log, so its own lag."""
    return f"{FORWARD}.{destination}"


def groups_of(config: Config) -> tuple[str, ...]:
    """Every consumer group of the site: those of topics.yaml, one for each destination, and that of the RIS.

    Raises ConfigError.
    """
    groups = []
    for name in load_topics().groups:
        groups.append(name)
        if name == FORWARD:
            groups += [group_of(destination) for destination in destinations_of(config)]
            groups += [ris.GROUP] if ris.of_site(config) else []
    return tuple(groups)

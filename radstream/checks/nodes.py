"""The file of nodes: one that can be read, and AE titles that say where to send."""

from __future__ import annotations

from collections.abc import Iterator

from radstream.checks.check import Check, broken, note
from streams import nodes
from streams.config import Config, ConfigError


def check(config: Config, part: str) -> Iterator[Check]:
    try:
        found = nodes.read(nodes.file_of(config))
    except ConfigError as error:
        yield broken(part, "nodes", str(error), "Mend the file: reports of storage commitment go to its nodes.")
        return
    for ae_title, names in nodes.namesakes(found).items():
        yield note(
            part,
            "nodes",
            f"{', '.join(names)} have one AE title, {ae_title}, and not one address: C-MOVE to it is refused (0xA801).",
            "Where one is the port for reports of storage commitment: commitment_port in the other, and remove it.",
        )

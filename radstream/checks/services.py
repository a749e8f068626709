"""Our services: each says itself whether it is ready, and what it waits for."""

from __future__ import annotations

from collections.abc import Iterator

import urllib3

from radstream.checks.check import Check, broken, note, well
from streams.config import Service

PART = "service"
CALL_S = 3.0


def check(name: str, settings: Service, ended: str | None = None) -> Iterator[Check]:
    """`ended`: why it ended by itself, where that is known."""
    url = f"http://{settings.http_host}:{settings.http_port}/readyz"
    try:
        answer = urllib3.request("GET", url, timeout=CALL_S, retries=False)
        said = answer.json()
        failing, warnings = said.get("failing", {}), said.get("warnings", {})
    except urllib3.exceptions.HTTPError:
        if ended is None:
            yield broken(PART, name, f"No answer at {url}.", f"Start it: radstream up {name}.")
        else:
            found = f"No answer at {url}. It ended: {ended.rstrip('.')}."
            yield broken(PART, name, found, f"Mend that, then start it: radstream up {name}.")
    except (ValueError, AttributeError):
        yield broken(PART, name, f"Something else answers at {url}.", f"Give [{name}] another http_port.")
    else:
        yield from (
            broken(PART, name, f"{what}: {why}.", "It goes on by itself once that is mended.")
            for what, why in failing.items()
        )
        yield from (note(PART, name, f"{what}: {why}.") for what, why in warnings.items())
        if not failing:
            yield well(PART, name, "Ready.")

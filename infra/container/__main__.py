"""`python -m infra.container start MODULE | healthy PORT | setup before|after`"""

from __future__ import annotations

import http.client
import os
import sys
from typing import NoReturn

from infra.container.configuration import write
from streams.config import ConfigError

USAGE = "usage: python -m infra.container start MODULE | healthy PORT | setup before|after"
HEALTH_S_MAX = 3.0


def main(arguments: list[str]) -> int:
    match arguments:
        case ["start", module]:
            try:
                start(module)
            except ConfigError as error:
                sys.stderr.write(f"radstream: {error}\n")
                return 1
        case ["healthy", port] if port.isdigit():
            return 0 if is_healthy(int(port)) else 1
        case ["setup", "before" | "after" as phase]:
            from infra.container.setup import set_up

            return set_up(phase)
    sys.stderr.write(USAGE + "\n")
    return 2


def start(module: str) -> NoReturn:
    """Becomes the service, once its files are there. Secrets do not stay in its environment. Raises ConfigError."""
    config, environment = write(os.environ)
    command = [sys.executable, "-P", "-m", module, "--config", str(config)]
    os.execve(sys.executable, command, environment)  # noqa: S606


def is_healthy(port: int) -> bool:
    """Whether the service here answers /healthz with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HEALTH_S_MAX)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

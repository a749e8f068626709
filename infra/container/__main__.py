"""`python -m infra.container start MODULE | healthy [PORT [PATH]] | setup before|after | triton`"""

from __future__ import annotations

import http.client
import os
import sys
from typing import NoReturn

from infra.container.configuration import write
from streams.config import ConfigError

USAGE = "usage: python -m infra.container start MODULE | healthy [PORT [PATH]] | setup before|after | triton"
PORT = "RADSTREAM_HTTP_PORT"  # each image names its own
HEALTH_S_MAX = 3.0


def main(arguments: list[str]) -> int:
    match arguments:
        case ["start", module]:
            try:
                start(module)
            except ConfigError as error:
                sys.stderr.write(f"radstream: {error}\n")
                return 1
        case ["healthy"] if os.environ.get(PORT, "").isdigit():
            return 0 if is_healthy(int(os.environ[PORT])) else 1
        case ["healthy", port, *path] if port.isdigit() and len(path) <= 1:
            return 0 if is_healthy(int(port), *path) else 1
        case ["setup", "before" | "after" as phase]:
            from infra.container.setup import set_up

            return set_up(phase)
        case ["triton"]:
            from infra.container.triton import serve
            from infra.local.errors import StackError

            try:
                serve()
            except StackError as error:
                sys.stderr.write(f"radstream: {error}\n")
                return 1
    sys.stderr.write(USAGE + "\n")
    return 2


def start(module: str) -> NoReturn:
    """Becomes the service, once its files are there. Secrets do not stay in its environment. Raises ConfigError."""
    config, environment = write(os.environ)
    command = [sys.executable, "-P", "-m", module, "--config", str(config)]
    os.execve(sys.executable, command, environment)  # noqa: S606


def is_healthy(port: int, path: str = "/healthz") -> bool:
    """Whether what listens here answers with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HEALTH_S_MAX)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

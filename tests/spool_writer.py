"""`python -m tests.spool_writer FOLDER`: puts files on a spool from eight threads until it is killed, and prints the
digest (hex) of each that was acknowledged. Those of one thread are large, in segments of their own.
"""

from __future__ import annotations

import secrets
import sys
import threading
from itertools import cycle
from pathlib import Path

from producers.dicom_router.spool.incoming import NotSpooled
from streams import logs
from tests.spools import incoming, mapped, opened

_SEGMENT_BYTES = 8 << 20
_LARGE_BYTES = _SEGMENT_BYTES + 1_000_000


def main() -> None:
    logs.configure("spool-writer", "critical")
    spool = opened(Path(sys.argv[1]), segment_bytes=_SEGMENT_BYTES)
    saying = threading.Lock()

    def put(study: str, size: int) -> None:
        # Every other one goes past the page cache.
        for make in cycle((incoming, mapped)):
            one = make(secrets.token_bytes(size), study)
            try:
                spool.append(one)
            except NotSpooled:
                return
            with saying:
                print(one.digest.hex(), flush=True)  # noqa: T201

    for number in range(8):
        threading.Thread(
            target=put, args=(f"1.2.{number}", (300_000 if number % 2 else 100_000) if number else _LARGE_BYTES)
        ).start()


if __name__ == "__main__":
    main()

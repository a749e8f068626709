"""`python -m tests.spool_writer FOLDER`: puts files on a spool from eight threads until it is killed, and prints the
digest (hex) of each that was acknowledged.
"""

from __future__ import annotations

import secrets
import sys
import threading
from pathlib import Path

from producers.dicom_router.spool.writing import NotSpooled
from streams import logs
from tests.spools import incoming, opened


def main() -> None:
    logs.configure("spool-writer", "critical")
    spool = opened(Path(sys.argv[1]), segment_bytes=8 << 20)
    saying = threading.Lock()

    def put(study: str) -> None:
        while True:
            one = incoming(secrets.token_bytes(100_000), study)
            try:
                spool.append(one)
            except NotSpooled:
                return
            with saying:
                print(one.digest.hex(), flush=True)  # noqa: T201

    for number in range(8):
        threading.Thread(target=put, args=(f"1.2.{number}",)).start()


if __name__ == "__main__":
    main()

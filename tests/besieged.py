"""`python -m tests.besieged router|tls|orders|worklist FOLDER`: a service in a process of its own, on memory.

It says its ports as one line of JSON, and ends with its standard input.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path

from streams import logs
from streams.allocating import give_back_large_blocks
from tests.event_streams import Hospital, new_log
from tests.listeners import running_listener
from tests.routers import running_router
from tests.secured import hospital, known
from tests.stow import Settings
from tests.worklists import running_worklist

OBJECT_BYTES_MAX = 8 << 20


def main() -> None:
    kind, folder = sys.argv[1], Path(sys.argv[2])
    logs.configure("besieged", "critical")
    give_back_large_blocks()
    with ExitStack() as stack:
        ports = {}
        if kind == "router":
            settings = Settings(port=0)
            router = stack.enter_context(running_router(stow=settings, object_bytes_max=OBJECT_BYTES_MAX))
            assert router.doors.stow is not None
            ports = {"dicom": router.target.port, "stow": router.doors.stow.port}
        elif kind == "tls":
            # All others are strangers: from there nobody may come.
            scanners = '["127.0.0.2", "127.0.0.9"]'
            site = hospital(folder, known("CT1", 'common_name = "ct1.example"', addresses=scanners))
            scanner = site.scanner()
            router = stack.enter_context(site.router())
            assert router.secured is not None
            ports = {"dicom": router.secured.port}
            certificates = {"ca": site.authority.file, "cert": scanner.certificate_file, "key": scanner.key_file}
            (folder / "scanner.json").write_text(json.dumps({name: str(path) for name, path in certificates.items()}))
        elif kind == "orders":
            ports = {"hl7": stack.enter_context(running_listener()).port}
        else:
            ports = {"dicom": stack.enter_context(running_worklist(new_log(), Hospital())).port}
        print(json.dumps(ports), flush=True)  # noqa: T201
        sys.stdin.read()


if __name__ == "__main__":
    main()

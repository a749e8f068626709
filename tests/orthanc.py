"""Orthanc, a real one, in a folder and on ports of its own: as an old PACS, and as a modality that obeys."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3

from radstream.items import Item
from radstream.sending import SendResult, send_items
from streams.nodes import Node
from streams.store_scu import Target
from tests.ports import free_ports
from tests.waiting import wait_until

AE_TITLE = "ORTHANC"


@dataclass(frozen=True)
class Orthanc:
    """Its log, beside its DICOM port; `http_port` is where it is told what to do, 0 where nothing listens."""

    port: int
    log: Path
    http_port: int = 0

    @property
    def node(self) -> Node:
        return Node(ae_title=AE_TITLE, host="127.0.0.1", port=self.port)

    def fill(self, items: list[Item]) -> SendResult:
        return send_items(items, Target(AE_TITLE, "127.0.0.1", self.port))

    def ask(self, method: str, path: str, said: object = None) -> Any:
        """Its REST API: JSON in, JSON out."""
        url = f"http://127.0.0.1:{self.http_port}{path}"
        answer = urllib3.request(method, url, json=said, timeout=180.0, retries=False)
        assert answer.status == 200, (answer.status, answer.data)
        return answer.json() if answer.data else None

    def file(self, instance: str) -> bytes:
        """An instance, by Orthanc's own name of it, as it stored it."""
        url = f"http://127.0.0.1:{self.http_port}/instances/{instance}/file"
        answer = urllib3.request("GET", url, timeout=180.0, retries=False)
        assert answer.status == 200, (answer.status, answer.data)
        return answer.data

    def moves(self) -> int:
        """How many C-MOVE requests it has logged."""
        return self.log.read_text(encoding="utf-8", errors="replace").count("Move-SCU request received")


@contextmanager
def orthanc(
    folder: Path,
    destination: tuple[str, int],
    answers_max: int = 0,
    *,
    rest: bool = False,
    more: Mapping[str, object] | None = None,
) -> Iterator[Orthanc]:
    """Knows a router (AE title, port on loopback) as a move destination. Stops at so many answers, where not 0.

    `rest` has it listen for `Orthanc.ask`, of this machine alone; `more` are settings of its own.
    """
    program = shutil.which("Orthanc")
    if program is None:
        pytest.skip("Orthanc is not installed (Debian package `orthanc`): nothing is tested with a real one")
    ports, title = free_ports(2 if rest else 1), destination[0]
    port, http_port = ports[0], ports[-1] if rest else 0
    settings = {
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "DicomAet": AE_TITLE,
        "DicomPort": port,
        "HttpServerEnabled": rest,
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "LimitFindResults": answers_max,
        "DicomModalities": {"router": {"AET": title, "Host": "127.0.0.1", "Port": destination[1]}},
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        **(more or {}),
    }
    file, log = folder / "orthanc.json", folder / "orthanc.log"
    file.write_text(json.dumps(settings), encoding="utf-8")
    with log.open("wb") as out:
        process = subprocess.Popen([program, "--verbose", str(file)], stdout=out, stderr=subprocess.STDOUT, cwd=folder)
        try:
            wait_until(lambda: process.poll() is not None or all(map(_listens, ports)), "Orthanc to listen")
            assert process.poll() is None, log.read_text(encoding="utf-8", errors="replace")[-2000:]
            yield Orthanc(port, log, http_port)
        finally:
            process.terminate()
            process.wait(60)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False

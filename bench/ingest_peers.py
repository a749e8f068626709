"""What else receives images, and this router's own receive path: each as a receiver that can be started.

"As installed" is the program with nothing set but port and folder; "tuned" is the best that its own settings were found
to give. Peers that cannot be told to stay on loopback listen on all interfaces while they are measured.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bench.ingest_load import CALLED_AE
from bench.ingest_own import LET_GO
from bench.ingest_receivers import Place, Receiver, files_held

REFERENCE: Final = "dcmtk-tuned"
_NODELAY: Final = {"TCP_NODELAY": "1"}
_PATH: Final = "the router's receive path"
_BARE: Final = "the same without SHA-256 and tags"
# The largest that DCMTK takes (-pdu).
_PDU: Final = "131072"
Command = Callable[[Place], Sequence[str]]

# All that costs and that a receiver of images can do without.
_ORTHANC_TUNED: Final[dict[str, object]] = {
    "DicomThreadsCount": 16,
    "MaximumPduLength": int(_PDU),
    "StoreMD5ForAttachments": False,
    "MaximumStorageCacheSize": 0,
    "MetricsEnabled": False,
    "SaveJobs": False,
    "HttpServerEnabled": False,
    "DicomAssociationCloseDelay": 0,
}
# Orthanc alone syncs each file, unless it is told not to.
_NOT_SYNCED: Final = {"SyncStorageArea": False}


def _let_go(place: Place) -> set[str]:
    """What our sink says that it let go: there is nothing else to look at."""
    file = place.folder / LET_GO
    return set(file.read_text(encoding="ascii").split()) if file.exists() else set()


def _ours(
    name: str, what: str, keep: str, held: Callable[[Place, int], set[str]] = files_held, processes: int = 1
) -> Receiver:
    options = ("--keep", keep, "--processes", str(processes))
    return Receiver(
        name=name,
        what=what,
        program=sys.executable,
        command=lambda place: ["-m", "bench.ingest_own", "--port", str(place.port), *options],
        version=_version_of("radstream"),
        install="pip install 'radstream[cli]'",
        held=held,
        is_ours=True,
    )


def _pynetdicom(name: str, what: str, *options: str) -> Receiver:
    command = ("-m", "pynetdicom", "storescp", *options)
    return Receiver(
        name=name,
        what=what,
        program=sys.executable,
        command=lambda place: [*command, "-ba", "127.0.0.1", "-od", str(place.folder), str(place.port)],
        version=_version_of("pynetdicom"),
        install="pip install 'radstream[cli]'",
    )


def _version_of(package: str) -> Sequence[str]:
    return ("-c", f"from importlib.metadata import version; print('{package}', version('{package}'))")


def _dcmtk(
    name: str, what: str, program: str, command: Command, environment: Mapping[str, str] | None = None
) -> Receiver:
    return Receiver(name, what, program, command, ("--version",), "apt-get install dcmtk", environment or {})


def _storescp(*options: str) -> Command:
    return lambda place: [*options, str(place.port)]


def _dcmqrscp(*options: str) -> Command:
    def command(place: Place) -> Sequence[str]:
        config = place.work / "dcmqrscp.cfg"
        lines = (
            f"NetworkTCPPort = {place.port}",
            "MaxPDUSize = 16384",
            "MaxAssociations = 16",
            *("HostTable BEGIN", "HostTable END", "VendorTable BEGIN", "VendorTable END", "AETable BEGIN"),
            # The largest quota that it takes: beyond that it removes what it has acknowledged.
            f"{CALLED_AE} {place.folder} RW (500, 1024mb) ANY",
            "AETable END",
        )
        config.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return ["-c", str(config), *options]

    return command


def _orthanc(
    name: str, what: str, settings: Mapping[str, object], environment: Mapping[str, str] | None = None
) -> Receiver:
    def command(place: Place) -> Sequence[str]:
        config, index = place.work / "orthanc.json", place.work / "index"
        index.mkdir()
        places = {"StorageDirectory": str(place.folder), "IndexDirectory": str(index)}
        ports = {"DicomPort": place.port, "HttpPort": place.other_port}
        config.write_text(json.dumps({**places, **ports, **settings}), encoding="utf-8")
        return [str(config)]

    return Receiver(name, what, "Orthanc", command, ("--version",), "apt-get install orthanc", environment or {})


def _dicom_rs(name: str, what: str, *options: str) -> Receiver:
    return Receiver(
        name=name,
        what=what,
        program="dicom-storescp",
        command=lambda place: [*options, "-p", str(place.port)],
        version=("--version",),
        install="cargo install dicom-storescp; --programs ~/.cargo/bin",
    )


RECEIVERS: Final = {
    receiver.name: receiver
    for receiver in (
        _ours("radstream-sink", f"{_PATH}; images let go", "nothing", held=lambda place, _: _let_go(place)),
        _ours("radstream-files", f"{_PATH}; files, not synced, as peers do", "files"),
        _ours("radstream-fsync", f"{_PATH}; file and folder synced", "fsynced"),
        _ours("radstream-bare", f"{_BARE}; files, not synced, as peers do", "bare"),
        _ours("radstream-bare-2", f"{_BARE} in two processes; files, not synced", "bare", processes=2),
        _ours("radstream-files-2", f"{_PATH} in two processes; files, not synced", "files", processes=2),
        _ours("radstream-fsync-2", f"{_PATH} in two processes; file and folder synced", "fsynced", processes=2),
        _dcmtk("dcmtk", "as installed", "storescp", _storescp()),
        _dcmtk(
            REFERENCE,
            f"TCP_NODELAY=1 +B -pdu {_PDU} --fork",
            "storescp",
            _storescp("+B", "-pdu", _PDU, "--fork"),
            _NODELAY,
        ),
        _dcmtk("dcmqrscp", "as installed, with one folder", "dcmqrscp", _dcmqrscp()),
        _dcmtk("dcmqrscp-tuned", f"TCP_NODELAY=1 +B -pdu {_PDU}", "dcmqrscp", _dcmqrscp("+B", "-pdu", _PDU), _NODELAY),
        _orthanc("orthanc", "as installed; syncs each file", {}),
        _orthanc("orthanc-tuned", "TCP_NODELAY=1 and other settings; syncs each file", _ORTHANC_TUNED, _NODELAY),
        _orthanc("orthanc-nosync", "the same settings, not synced", {**_ORTHANC_TUNED, **_NOT_SYNCED}, _NODELAY),
        _dicom_rs("dicom-rs", "as installed"),
        _dicom_rs("dicom-rs-tuned", f"-n -m {_PDU}", "-n", "-m", _PDU),
        _pynetdicom("pynetdicom", "storescp as installed"),
        _pynetdicom("pynetdicom-tuned", f"storescp -q -pdu {_PDU}", "-q", "-pdu", _PDU),
    )
}

"""Programs that only tests and the demo's last look need, out of Debian's packages: promtool and dciodvfy.

The packages are unpacked, not installed: Debian would start a Prometheus server with its package, and nobody asked for
one. So no root is needed either. Where apt is not there, or has no list of packages yet, what needs a program says so.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from infra.local import process
from infra.local.errors import StackError
from infra.local.tools import cache, debian

# By program, the package that carries it and why it is wanted.
PACKAGES = {
    "dciodvfy": ("dicom3tools", "it says whether a DICOM object is as the standard wants it"),
    "promtool": ("prometheus", "it checks scrape and alert rules"),
}
VERSION = "debian"  # the one of the machine's release


def find(name: str) -> Path | None:
    """The program: the machine's own, else the unpacked one, else None."""
    if there := shutil.which(name):
        return Path(there)
    unpacked = cache.path(name, VERSION) / "usr" / "bin" / name
    return unpacked if unpacked.is_file() else None


def ensure(name: str, say: cache.Say) -> None:
    """Unpacks what is missing. What cannot be had is said, and stops nobody."""
    if find(name) is not None or shutil.which("apt-get") is None:
        return
    package, why = PACKAGES[name]
    try:
        cache.installed(name, VERSION, lambda target: _unpack(package, target), say, f"{why} (Debian's {package})")
    except StackError as error:
        say(f"{name} is left out: {error}")


def _unpack(package: str, target: Path) -> None:
    if debian.is_ours():
        debian.update()
    download = target / "download"
    download.mkdir()
    # It writes where it stands.
    process.run(["env", "-C", str(download), "apt-get", "download", "-q", package], f"fetching {package}")
    (archive,) = download.glob("*.deb")
    process.run(["dpkg-deb", "-x", str(archive), str(target)], f"unpacking {package}")
    shutil.rmtree(download)

